use std::path::Path;

use super::*;

#[test]
fn zz() {
    let text = "x = 1\n[edge]\nfoo=2\n[edge.srt]\nlatency = 3\nbandwidth_max = \"20MB/s\"\n[srt]\nlisten=2\n[[feeds]]\nid=\"a\"\n[[feeds]]\nid = \"a\"\n\n[[feeds]]\nlabel=\"x\"\n";
    for p in parse(text, Path::new("c.toml")).expect_err("x") {
        println!("{p}");
    }
    println!("{}", serde_json::to_string_pretty(&crate::json_schema::document()).unwrap());
    println!("{}", crate::json_schema::reference());
}
