//! Patterns of names: `*` stands for any run of characters, `?` for one.

use std::fmt;

/// A name, or a pattern of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(Box<str>);

impl Glob {
    /// The pattern `text`; each text is one.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether all of `name` fits the pattern.
    ///
    /// Takes at most `pattern x name` steps: on a mismatch only the last `*` gives a byte more, since an earlier
    /// one could take nothing that the last one could not.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut p, mut n) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while n < name.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p + 1, n));
                    p += 1;
                }
                Some(&byte) if byte == b'?' || byte == name[n] => {
                    p += 1;
                    n += 1;
                }
                _ => match star.as_mut() {
                    Some((after, taken)) => {
                        *taken += 1;
                        (p, n) = (*after, *taken);
                    }
                    None => return false,
                },
            }
        }
        pattern[p..].iter().all(|&byte| byte == b'*')
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => naive(rest, name) || (!name.is_empty() && naive(pattern, &name[1..])),
            ([b'?', rest @ ..], [_, tail @ ..]) => naive(rest, tail),
            ([a, rest @ ..], [b, tail @ ..]) if a == b => naive(rest, tail),
            _ => false,
        }
    }

    #[test]
    fn a_pattern_fits_whole_names() {
        let fits = |pattern, name| Glob::new(pattern).matches(name);
        assert!(fits("athletics-*", "athletics-main"));
        assert!(fits("athletics-*", "athletics-"));
        assert!(!fits("athletics-*", "athletics"));
        assert!(!fits("athletics", "athletics-main"));
        assert!(fits("*-main", "a-main-main"));
        assert!(fits("cam-?", "cam-3"));
        assert!(!fits("cam-?", "cam-33"));
        assert!(fits("*", ""));
        assert!(!fits("", "a"));
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_plain_definition(pattern in "[ab*?]{0,8}", name in "[ab]{0,10}") {
            prop_assert_eq!(Glob::new(&pattern).matches(&name), naive(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
