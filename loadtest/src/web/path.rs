//! References in Playlists and Manifests.

/// The path, with its query, that `reference` means in a document at the path `base` (RFC 3986, 5.2).
///
/// A reference to another host is taken for one to ours: whoever tests a server tests that one.
pub fn resolve(base: &str, reference: &str) -> String {
    let base = base.split(['?', '#']).next().unwrap_or_default();
    let reference = reference.split('#').next().unwrap_or_default();
    let local = match reference.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => reference,
    };
    let (path, query) = local.split_once('?').map_or((local, None), |(path, query)| (path, Some(query)));
    let merged = match (path.is_empty(), path.starts_with('/')) {
        (true, _) => base.to_owned(),
        (_, true) => path.to_owned(),
        _ => format!("{}/{path}", base.rsplit_once('/').map_or("", |(folder, _)| folder)),
    };
    let mut segments: Vec<&str> = Vec::new();
    for segment in merged.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let mut whole = format!("/{}", segments.join("/"));
    if let Some(query) = query {
        whole.push('?');
        whole.push_str(query);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_means_what_it_means_to_a_browser() {
        for (base, reference, expected) in [
            ("/c/index.m3u8", "v256/index.m3u8", "/c/v256/index.m3u8"),
            ("/c/v256/index.m3u8?_HLS_msn=4", "7.1.m4s", "/c/v256/7.1.m4s"),
            ("/c/manifest.mpd", "../time", "/time"),
            ("/c/v/x", "/abs/./y?q=1", "/abs/y?q=1"),
            ("/c/v/x", "http://cdn.example:81/c/1.m4s", "/c/1.m4s"),
            ("/c/v/x", "../../../../z", "/z"),
            ("/c/v/", "", "/c/v/"),
        ] {
            assert_eq!(resolve(base, reference), expected, "{reference} in {base}");
        }
    }
}
