//! Words and punctuation of nginx's language.
//!
//! A statement is words, ended by `;` or followed by a block. A word is bare or in quotes of either kind; a backslash
//! keeps the next byte from ending it, and goes away before quotes, itself, and the letters of control characters only.

/// A statement as far as it goes, or what stands between statements.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Words, and `;`.
    Simple(Vec<Vec<u8>>),
    /// Words, and `{`.
    Open(Vec<Vec<u8>>),
    /// `}`.
    Close,
    /// The end of the text.
    End,
}

/// Why a text cannot be read on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) line: u32,
    pub(super) why: &'static str,
}

/// Reads a text statement by statement.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
    /// Where the last statement began.
    pub(super) began: u32,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        // nginx itself stumbles over a byte order mark that an editor has left; what follows is meant all the same.
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        Self { text, at: 0, line: 1, began: 1 }
    }

    pub(super) fn broken(&self, why: &'static str) -> Broken {
        Broken { line: self.line, why }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at = self.at.saturating_add(1);
        if byte == b'\n' {
            self.line = self.line.saturating_add(1);
        }
        Some(byte)
    }

    pub(super) fn next(&mut self) -> Result<Token, Broken> {
        let mut words = Vec::new();
        loop {
            self.skip_blanks();
            if words.is_empty() {
                self.began = self.line;
            }
            match self.peek() {
                None if words.is_empty() => return Ok(Token::End),
                None => return Err(self.broken("it ends within a statement")),
                Some(end @ (b';' | b'{')) => {
                    if words.is_empty() {
                        return Err(self.broken("a statement without a name"));
                    }
                    self.take();
                    return Ok(if end == b';' { Token::Simple(words) } else { Token::Open(words) });
                }
                Some(b'}') => {
                    if !words.is_empty() {
                        return Err(self.broken("a } within a statement"));
                    }
                    self.take();
                    return Ok(Token::Close);
                }
                Some(quote @ (b'"' | b'\'')) => words.push(self.quoted(quote)?),
                Some(_) => words.push(self.bare()),
            }
        }
    }

    /// Blanks, and comments: these begin where a word could.
    fn skip_blanks(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => drop(self.take()),
                b'#' => self.skip_line(),
                _ => return,
            }
        }
    }

    fn skip_line(&mut self) {
        while self.peek().is_some_and(|byte| byte != b'\n') {
            self.take();
        }
    }

    fn quoted(&mut self, quote: u8) -> Result<Vec<u8>, Broken> {
        let opened = self.line;
        self.take();
        let start = self.at;
        loop {
            let end = self.at;
            match self.take() {
                None => return Err(Broken { line: opened, why: "a quote is not closed" }),
                Some(b'\\') => drop(self.take()),
                Some(byte) if byte == quote => {
                    let word = unescaped(self.text.get(start..end).unwrap_or(&[]));
                    return match self.peek() {
                        Some(b' ' | b'\t' | b'\r' | b'\n' | b';' | b'{' | b')') | None => Ok(word),
                        Some(_) => Err(self.broken("text right after a quote")),
                    };
                }
                Some(_) => {}
            }
        }
    }

    fn bare(&mut self) -> Vec<u8> {
        let start = self.at;
        // The brace of `${name}` opens no block.
        let mut dollar = false;
        while let Some(byte) = self.peek() {
            match byte {
                b'{' if dollar => drop(self.take()),
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'{' => break,
                _ => {
                    self.take();
                    if byte == b'\\' {
                        self.take();
                    }
                    dollar = byte == b'$';
                }
            }
        }
        unescaped(self.text.get(start..self.at).unwrap_or(&[]))
    }

    /// What is between braces in the language Lua, the first of which was read: strings and comments can hold others.
    pub(super) fn lua(&mut self) -> Result<&'a [u8], Broken> {
        let (start, opened) = (self.at, self.line);
        let mut depth = 1_usize;
        loop {
            let end = self.at;
            let Some(byte) = self.take() else {
                return Err(Broken { line: opened, why: "a block of Lua is not closed" });
            };
            match byte {
                b'{' => depth = depth.saturating_add(1),
                b'}' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Ok(self.text.get(start..end).unwrap_or(&[]));
                    }
                }
                b'"' | b'\'' => self.lua_string(byte),
                b'-' if self.peek() == Some(b'-') => {
                    self.take();
                    if !(self.peek() == Some(b'[') && self.lua_long()) {
                        self.skip_line();
                    }
                }
                b'[' => {
                    self.at = end;
                    if !self.lua_long() {
                        self.take();
                    }
                }
                _ => {}
            }
        }
    }

    /// A string ends with its quote, or, being wrong, with its line.
    fn lua_string(&mut self, quote: u8) {
        while let Some(byte) = self.take() {
            match byte {
                b'\\' => drop(self.take()),
                b'\n' => return,
                _ if byte == quote => return,
                _ => {}
            }
        }
    }

    /// `[[ ]]`, `[=[ ]=]` and so on. False, and nothing read, if none begins here.
    fn lua_long(&mut self) -> bool {
        let rest = self.text.get(self.at..).unwrap_or(&[]);
        let level = rest.iter().skip(1).take_while(|byte| **byte == b'=').count();
        if rest.first() != Some(&b'[') || rest.get(level.saturating_add(1)) != Some(&b'[') {
            return false;
        }
        let mut closing = vec![b'='; level.saturating_add(2)];
        for end in [0, level.saturating_add(1)] {
            if let Some(byte) = closing.get_mut(end) {
                *byte = b']';
            }
        }
        while let Some(byte) = self.peek() {
            if byte == b']' && self.text.get(self.at..).is_some_and(|rest| rest.starts_with(&closing)) {
                self.at = self.at.saturating_add(closing.len());
                return true;
            }
            self.take();
        }
        true
    }
}

/// A word without its backslashes, where they mean something.
fn unescaped(raw: &[u8]) -> Vec<u8> {
    let mut word = Vec::with_capacity(raw.len());
    let mut left = raw.iter().copied().peekable();
    while let Some(byte) = left.next() {
        let meant = match (byte, left.peek()) {
            (b'\\', Some(next @ (b'"' | b'\'' | b'\\'))) => Some(*next),
            (b'\\', Some(b't')) => Some(b'\t'),
            (b'\\', Some(b'r')) => Some(b'\r'),
            (b'\\', Some(b'n')) => Some(b'\n'),
            _ => None,
        };
        if meant.is_some() {
            left.next();
        }
        word.push(meant.unwrap_or(byte));
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<Token>, Broken> {
        let mut lexer = Lexer::new(text.as_bytes());
        let mut tokens = Vec::new();
        loop {
            match lexer.next()? {
                Token::End => return Ok(tokens),
                token => tokens.push(token),
            }
        }
    }

    fn words(text: &str) -> Vec<String> {
        let tokens = all(text).unwrap();
        let [Token::Simple(words)] = tokens.as_slice() else { panic!("{tokens:?}") };
        words.iter().map(|word| String::from_utf8(word.clone()).unwrap()).collect()
    }

    #[test]
    fn words_are_bare_or_in_quotes() {
        assert_eq!(words("a b\t'c d' \"e;{}#'f\";"), ["a", "b", "c d", "e;{}#'f"]);
        assert_eq!(words("a\n # no; {\nb#c #d\n;"), ["a", "b#c"]);
        assert_eq!(words(r#"a "\"\\\t\d" '\'' \;\{ x\ y;"#), ["a", "\"\\\t\\d", "'", "\\;\\{", "x\\ y"]);
        assert_eq!(words("a b\"c\" d'e;"), ["a", "b\"c\"", "d'e"]);
        assert_eq!(words("a '' \"\";"), ["a", "", ""]);
        assert_eq!(words("if ($a = \"b\");"), ["if", "($a", "=", "b", ")"]);
    }

    #[test]
    fn braces_of_variables_open_no_blocks() {
        assert_eq!(words("set $a ${b}c/${d};"), ["set", "$a", "${b}c/${d}"]);
        assert_eq!(
            all("a{b c;}").unwrap(),
            [
                Token::Open(vec![b"a".to_vec()]),
                Token::Simple(vec![b"b".to_vec(), b"c".to_vec()]),
                Token::Close
            ]
        );
    }

    #[test]
    fn what_is_broken_says_where() {
        for (text, line) in [("a\nb", 2), ("\n;", 2), ("a\n}", 2), ("\n'a", 2), ("'a'\n'b'c;", 2), ("{", 1)] {
            assert_eq!(all(text).map_err(|broken| broken.line), Err(line), "{text}");
        }
    }

    #[test]
    fn lua_hides_braces_in_strings_and_comments() {
        for lua in [
            " return {a={}} ",
            " x = '}' y = \"\\\"}\" ",
            " -- }\n ",
            " --[[ } \n } ]] ",
            " --[==[ ]] } ]==] ",
            " x = [[ } ]] .. [=[ ]] } ]=] ",
            " t[1] = t[t[1]] ",
            " a = b - -1 ",
        ] {
            let text = format!("{lua}}} rest;");
            let mut lexer = Lexer::new(text.as_bytes());
            assert_eq!(lexer.lua().map(|text| String::from_utf8_lossy(text)), Ok(lua.into()));
            assert_eq!(lexer.next(), Ok(Token::Simple(vec![b"rest".to_vec()])));
        }
        assert!(Lexer::new(b" { }").lua().is_err());
    }
}
