//! The three letters of a transport stream as the tags that HLS and DASH ask for.

use flambeau_media::track::Language;

/// `ISO 639-2 code, ISO 639-1 code, English name`, a line each; both codes of ISO 639-2 where there are two.
const ISO_639: &str = include_str!("language/iso639.txt");

/// The tag of RFC 5646, which knows a language of two letters by those alone (2.2.1): `fra` and `fre` are `fr`.
/// None where the stream is silent.
pub(crate) fn tag(language: Language) -> Option<String> {
    if language == Language::UNDETERMINED {
        return None;
    }
    Some(find(language).map_or_else(|| language.to_string(), |(tag, _)| tag.to_owned()))
}

/// What a viewer reads: the English name, or the letters where there is none.
pub(crate) fn name(language: Language) -> String {
    match language.as_str() {
        "und" => "Main".into(),
        letters => find(language).map_or_else(|| letters.to_owned(), |(_, name)| name.to_owned()),
    }
}

fn find(language: Language) -> Option<(&'static str, &'static str)> {
    ISO_639.lines().find_map(|line| line.strip_prefix(language.as_str())?.strip_prefix(' ')?.split_once(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_has_the_tag_that_players_know() {
        let tags = ["fra", "fre", "eng", "deu", "gsw"].map(|code| tag(code.parse().expect("a language")));
        assert_eq!(tags, ["fr", "fr", "en", "de", "gsw"].map(|tag| Some(tag.to_owned())));
        assert_eq!(tag(Language::UNDETERMINED), None);
        assert_eq!(name("fre".parse().expect("a language")), "French");
        assert_eq!(name("qaa".parse().expect("a language")), "qaa");
    }
}
