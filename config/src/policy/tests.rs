use std::path::Path;

use super::*;

const FILE: &str = r#"
[ingest.srt]
passphrase = "of the listener"
[[feeds]]
id = "athletics-main"
[[feeds]]
id = "athletics-aux"
passphrase = "of the feed"
users = ["venue-7"]
sources = ["192.0.2.0/24", "2001:db8::1"]
[[feeds]]
id = "swimming"
[[channels]]
id = "athletics"
feed = "athletics-main"
[[channels]]
id = "athletics-hd"
feed = "athletics-main"
[[channels]]
id = "swim"
feed = "swimming"
[[channels]]
id = "open"
feed = "swimming"
public = true
[[broadcasters]]
id = "rtx"
passphrase = "pulls by rtx"
token = "token of rtx"
[[broadcasters]]
id = "bbx"
[[broadcasters]]
id = "none"
token = "token of none"
[[entitlements]]
broadcaster = "rtx"
feeds = ["athletics-*"]
[[entitlements]]
broadcaster = "bbx"
channels = ["sw*"]
[[entitlements]]
broadcaster = "*"
feeds = ["swimming"]
"#;

fn policy() -> Policy {
    Policy::new(&crate::read::parse(FILE, Path::new("flambeau.toml")).expect("it runs"))
}

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("an id")
}

fn basic(user: &str, password: &str) -> Credentials {
    Credentials::Basic { user: user.into(), password: Secret::new(password) }
}

fn watch(credentials: Option<Credentials>, channel: &str) -> Result<Option<String>, Denied> {
    let right = policy().may_watch_channel(credentials.as_ref(), &id(channel));
    right.map(|broadcaster| broadcaster.map(|id| id.to_string()))
}

#[test]
fn a_feed_takes_its_own_passphrase_before_that_of_the_listener() {
    let passphrase = |feed| {
        let policy = policy().feed(&id(feed)).expect("it is in the file");
        policy.passphrase.map(|passphrase| passphrase.expose().to_owned())
    };
    assert_eq!(passphrase("athletics-main").as_deref(), Some("of the listener"));
    assert_eq!(passphrase("athletics-aux").as_deref(), Some("of the feed"));
    assert_eq!(policy().feed(&id("unknown")), None);
}

#[test]
fn a_feed_is_published_by_its_users_from_its_networks() {
    let feed = policy().feed(&id("athletics-aux")).expect("it is in the file");
    assert!(feed.allows_user(Some("venue-7")));
    assert!(!feed.allows_user(Some("venue-8")) && !feed.allows_user(None));
    let from = |address: &str| feed.allows_source(address.parse().expect("an address"));
    assert!(from("192.0.2.200") && from("2001:db8::1") && from("::ffff:192.0.2.7"));
    assert!(!from("192.0.3.1") && !from("2001:db8::2"));
    let open = policy().feed(&id("swimming")).expect("it is in the file");
    assert!(open.allows_user(None) && open.allows_source([203, 0, 113, 1].into()));
}

#[test]
fn a_feed_is_pulled_by_whom_an_entitlement_names() {
    let pull = |user, feed| policy().may_pull_feed(user, &id(feed));
    let granted = pull(Some("rtx"), "athletics-aux").expect("it is entitled");
    assert_eq!(granted.broadcaster, Some(id("rtx")));
    assert!(granted.passphrase.is_some_and(|passphrase| passphrase.matches(b"pulls by rtx")));
    assert_eq!(pull(Some("none"), "swimming").map(|pull| pull.passphrase), Ok(None));
    assert_eq!(pull(Some("bbx"), "athletics-aux"), Err(Denied::Forbidden));
    assert_eq!(pull(Some("stranger"), "athletics-aux"), Err(Denied::Unauthenticated));
    assert_eq!(pull(None, "swimming"), Err(Denied::Unauthenticated));
    assert_eq!(pull(Some("rtx"), "athletics-unknown"), Err(Denied::NotFound));
}

#[test]
fn a_feed_that_does_not_exist_looks_like_one_that_is_not_granted() {
    let pull = |feed| policy().may_pull_feed(Some("bbx"), &id(feed));
    assert_eq!(pull("athletics-main"), pull("unknown"));
    assert_eq!(pull("unknown"), Err(Denied::Forbidden));
}

#[test]
fn an_entitlement_to_a_feed_covers_its_channels() {
    let rtx = || Some(Credentials::Bearer(Secret::new("token of rtx")));
    assert_eq!(watch(rtx(), "athletics"), Ok(Some("rtx".into())));
    assert_eq!(watch(rtx(), "swim"), Ok(Some("rtx".into())));
    assert_eq!(watch(Some(basic("rtx", "token of rtx")), "athletics-hd"), Ok(Some("rtx".into())));
    assert_eq!(watch(Some(basic("none", "token of none")), "athletics"), Err(Denied::Forbidden));
}

#[test]
fn an_entitlement_to_a_channel_covers_it_by_name() {
    // Its name is all that a broadcaster without a token needs.
    assert_eq!(watch(Some(basic("bbx", "")), "swim"), Ok(Some("bbx".into())));
    assert_eq!(watch(Some(basic("bbx", "")), "athletics"), Err(Denied::Forbidden));
    assert_eq!(watch(Some(basic("bbx", "guess")), "swim"), Err(Denied::Unauthenticated));
}

#[test]
fn nobody_learns_without_credentials_which_channels_there_are() {
    let wrong = [
        None,
        Some(basic("rtx", "")),
        Some(basic("rtx", "guess")),
        Some(basic("stranger", "")),
        Some(Credentials::Bearer(Secret::new("guess"))),
        Some(Credentials::Bearer(Secret::new(""))),
    ];
    for credentials in wrong {
        for channel in ["athletics", "swim", "unknown"] {
            assert_eq!(watch(credentials.clone(), channel), Err(Denied::Unauthenticated), "{channel}");
        }
    }
    let stranger_to_it = Some(basic("none", "token of none"));
    assert_eq!(watch(stranger_to_it.clone(), "athletics"), watch(stranger_to_it, "unknown"));
    assert_eq!(watch(Some(basic("bbx", "")), "sweep"), Err(Denied::NotFound));
}

#[test]
fn a_public_channel_asks_for_nothing_and_knows_who_came() {
    assert_eq!(watch(None, "open"), Ok(None));
    assert_eq!(watch(Some(basic("rtx", "guess")), "open"), Ok(None));
    assert_eq!(watch(Some(basic("rtx", "token of rtx")), "open"), Ok(Some("rtx".into())));
}

#[test]
fn channels_are_made_of_their_feed_in_order_of_name() {
    let names =
        |feed| policy().channels_of(&id(feed)).into_iter().map(|channel| channel.id).collect::<Vec<_>>();
    assert_eq!(names("athletics-main"), [id("athletics"), id("athletics-hd")]);
    assert_eq!(names("athletics-aux"), []);
    assert_eq!(policy().broadcaster("rtx").map(|rtx| rtx.id.clone()), Some(id("rtx")));
    assert!(policy().broadcaster("unknown").is_none());
}

#[test]
fn lab_mode_grants_everything_on_loopback() {
    let config = Config::lab();
    for listen in
        [config.ingest.srt.listen, config.edge.srt.listen, config.edge.http.listen, config.admin.listen]
    {
        assert!(listen.ip().is_loopback(), "{listen}");
    }
    let lab = Policy::new(&config);
    let any = lab.feed(&id("any")).expect("lab mode has each Feed");
    assert!(any.passphrase.is_none() && any.allows_user(None) && any.allows_source([127, 0, 0, 1].into()));
    assert_eq!(lab.may_pull_feed(None, &id("any")), Ok(Pull { broadcaster: None, passphrase: None }));
    assert_eq!(lab.may_watch_channel(None, &id("any")), Ok(None));
    let channels = lab.channels_of(&id("any"));
    assert_eq!((channels.len(), &channels[0].id, &channels[0].feed), (1, &id("any"), &id("any")));
}

#[test]
fn an_empty_configuration_grants_nothing() {
    let policy = Policy::new(&Config::default());
    assert_eq!(policy.feed(&id("any")), None);
    assert_eq!(policy.may_pull_feed(Some("any"), &id("any")), Err(Denied::Unauthenticated));
    assert_eq!(policy.may_watch_channel(None, &id("any")), Err(Denied::Unauthenticated));
    assert!(policy.channels_of(&id("any")).is_empty());
}

#[test]
fn a_port_takes_calls_of_its_networks_but_for_those_that_are_banned() {
    let text = "[ingest.srt]\nsources = [\"192.0.2.0/24\"]\nbanned = [\"192.0.2.7\"]\n[edge.srt]\nbanned = [\"2001:db8::/32\"]\n[[feeds]]\nid = \"a\"\n";
    let policy = Policy::new(&crate::read::parse(text, Path::new("flambeau.toml")).expect("it runs"));
    let address = |text: &str| text.parse().expect("an address");
    let ingest = ["192.0.2.8", "::ffff:192.0.2.8", "192.0.2.7", "::ffff:192.0.2.7", "198.51.100.1"];
    assert_eq!(ingest.map(|text| policy.may_call_ingest(address(text))), [true, true, false, false, false]);
    let edge = ["192.0.2.7", "2001:db8::1", "2001:db9::1"];
    assert_eq!(edge.map(|text| policy.may_call_edge(address(text))), [true, false, true]);
}
