//! Tokens to tree. Accepts and refuses what Go's `text/template` does, in its words.

mod operand;

use std::collections::BTreeMap;

use model::matcher::quote;

use super::ast::{Branch, Node, Pipe};
use super::functions;
use super::lexer::{Kind, Token, tokens};
use operand::unquote;

/// Branches, definitions and parentheses within each other.
const MAX_DEPTH: usize = 60;

/// A template with the templates that it defines.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Parsed {
    pub(super) root: Vec<Node>,
    pub(super) defined: BTreeMap<String, Vec<Node>>,
}

/// Parses. `name` is for messages.
pub(super) fn parse(name: &str, text: &str) -> Result<Parsed, String> {
    let mut parser = Parser {
        name,
        tokens: tokens(text),
        next: 0,
        furthest: 0,
        variables: vec!["$".to_owned()],
        defined: BTreeMap::new(),
        depth: 0,
        loops: 0,
        action_line: 0,
    };
    let root = parser.top()?;
    Ok(Parsed { root, defined: parser.defined })
}

/// What ends a list.
enum End {
    End,
    /// The keyword behind `else`, if one follows.
    Else(Option<&'static str>),
}

impl End {
    fn show(&self) -> &'static str {
        match self {
            Self::End => "{{end}}",
            Self::Else(_) => "{{else}}",
        }
    }
}

enum Piece {
    Node(Node),
    End(End),
    /// A definition; it leaves nothing where it stands.
    Nothing,
}

struct Parser<'a> {
    name: &'a str,
    tokens: Vec<Token>,
    next: usize,
    /// The last token that was looked at: messages name its line.
    furthest: usize,
    /// Variables that are known where the parser is.
    variables: Vec<String>,
    defined: BTreeMap<String, Vec<Node>>,
    depth: usize,
    /// Loops around where the parser is.
    loops: usize,
    action_line: usize,
}

type Parse<T> = Result<T, String>;

impl Parser<'_> {
    fn peek(&mut self) -> Token {
        let last = self.tokens.len().saturating_sub(1);
        let at = self.next.min(last);
        self.furthest = self.furthest.max(at);
        self.tokens.get(at).cloned().unwrap_or(Token { kind: Kind::Eof, pos: 0, line: 1, text: String::new() })
    }

    fn take(&mut self) -> Token {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn back(&mut self) {
        self.next = self.next.saturating_sub(1);
    }

    fn take_word(&mut self) -> Token {
        self.peek_word();
        self.take()
    }

    /// Skips blanks.
    fn peek_word(&mut self) -> Token {
        loop {
            let token = self.peek();
            if token.kind != Kind::Space {
                return token;
            }
            self.next += 1;
        }
    }

    fn error<T>(&self, message: impl std::fmt::Display) -> Parse<T> {
        let line = self.tokens.get(self.furthest).map_or(1, |t| t.line);
        Err(format!("template: {}:{line}: {message}", self.name))
    }

    fn unexpected<T>(&self, token: &Token, context: &str) -> Parse<T> {
        if token.kind != Kind::Error {
            return self.error(format!("unexpected {} in {context}", show(token)));
        }
        let mut started = String::new();
        if self.action_line != 0 && self.action_line != token.line {
            let action = if token.text.ends_with(" action") { "" } else { " in action" };
            started = format!("{action} started at {}:{}", self.name, self.action_line);
        }
        self.error(format!("{}{started}", token.text))
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parse<Token> {
        let token = self.take_word();
        if token.kind == kind { Ok(token) } else { self.unexpected(&token, context) }
    }

    fn enter(&mut self) -> Parse<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { self.error(format!("actions are nested more than {MAX_DEPTH} deep")) } else { Ok(()) }
    }

    fn top(&mut self) -> Parse<Vec<Node>> {
        let mut nodes = Vec::new();
        while self.peek().kind != Kind::Eof {
            match self.piece(true)? {
                Piece::Node(node) => nodes.push(node),
                Piece::Nothing => {}
                Piece::End(end) => return self.error(format!("unexpected {}", end.show())),
            }
        }
        Ok(nodes)
    }

    /// Pieces up to `end` or `else`.
    fn list(&mut self) -> Parse<(Vec<Node>, End)> {
        let mut nodes = Vec::new();
        while self.peek_word().kind != Kind::Eof {
            match self.piece(false)? {
                Piece::Node(node) => nodes.push(node),
                Piece::Nothing => {}
                Piece::End(end) => return Ok((nodes, end)),
            }
        }
        self.error("unexpected EOF")
    }

    fn piece(&mut self, top: bool) -> Parse<Piece> {
        let token = self.take_word();
        match token.kind {
            Kind::Text => Ok(Piece::Node(Node::Text(token.text))),
            Kind::LeftDelim => {
                self.action_line = token.line;
                let piece = self.action(top);
                self.action_line = 0;
                piece
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    fn action(&mut self, top: bool) -> Parse<Piece> {
        let token = self.take_word();
        let keyword = if token.kind == Kind::Keyword { token.text.as_str() } else { "" };
        let node = match keyword {
            "if" => Node::If(Box::new(self.branch("if")?)),
            "with" => Node::With(Box::new(self.branch("with")?)),
            "range" => Node::Range(Box::new(self.branch("range")?)),
            "template" => self.template()?,
            "block" => self.block()?,
            "define" if top => return self.define(),
            "end" => return self.expect(Kind::RightDelim, "end").map(|_| Piece::End(End::End)),
            "else" => return self.otherwise(),
            "break" | "continue" => self.leave(keyword)?,
            _ => {
                self.back();
                Node::Action(self.pipeline("command", Kind::RightDelim)?)
            }
        };
        Ok(Piece::Node(node))
    }

    fn leave(&mut self, keyword: &str) -> Parse<Node> {
        let token = self.take_word();
        if token.kind != Kind::RightDelim {
            return self.unexpected(&token, &format!("{{{{{keyword}}}}}"));
        }
        if self.loops == 0 {
            return self.error(format!("{{{{{keyword}}}}} outside {{{{range}}}}"));
        }
        Ok(if keyword == "break" { Node::Break } else { Node::Continue })
    }

    fn otherwise(&mut self) -> Parse<Piece> {
        let follows = self.peek_word();
        let keyword = ["if", "with"].into_iter().find(|word| follows.kind == Kind::Keyword && follows.text == *word);
        if keyword.is_none() {
            self.expect(Kind::RightDelim, "else")?;
        }
        Ok(Piece::End(End::Else(keyword)))
    }

    fn branch(&mut self, keyword: &'static str) -> Parse<Branch> {
        self.enter()?;
        let known = self.variables.len();
        let pipe = self.pipeline(keyword, Kind::RightDelim)?;
        self.loops += usize::from(keyword == "range");
        let (list, end) = self.list()?;
        self.loops -= usize::from(keyword == "range");
        let otherwise = match end {
            End::End => None,
            // `{{else if x}}` needs no `{{end}}` of its own.
            End::Else(Some(follows)) if follows == keyword => {
                self.take();
                let nested = Box::new(self.branch(keyword)?);
                Some(vec![if keyword == "if" { Node::If(nested) } else { Node::With(nested) }])
            }
            End::Else(Some(_)) => {
                let token = self.take();
                return self.unexpected(&token, "else");
            }
            End::Else(None) => {
                let (list, end) = self.list()?;
                if !matches!(end, End::End) {
                    return self.error(format!("expected end; found {}", end.show()));
                }
                Some(list)
            }
        };
        self.variables.truncate(known);
        self.depth -= 1;
        Ok(Branch { pipe, list, otherwise })
    }

    fn template_name(&mut self, context: &str) -> Parse<(usize, String)> {
        let token = self.take_word();
        if !matches!(token.kind, Kind::String | Kind::RawString) {
            return self.unexpected(&token, context);
        }
        match unquote(&token.text) {
            Some(name) => Ok((token.pos, name)),
            None => self.error("invalid syntax"),
        }
    }

    fn template(&mut self) -> Parse<Node> {
        let (pos, name) = self.template_name("template clause")?;
        let pipe = if self.peek_word().kind == Kind::RightDelim {
            self.take();
            None
        } else {
            Some(self.pipeline("template clause", Kind::RightDelim)?)
        };
        Ok(Node::Template { pos, name, pipe })
    }

    /// A definition and its use in one.
    fn block(&mut self) -> Parse<Node> {
        let (pos, name) = self.template_name("block clause")?;
        let pipe = self.pipeline("block clause", Kind::RightDelim)?;
        self.body(name.clone(), "block clause")?;
        Ok(Node::Template { pos, name, pipe: Some(pipe) })
    }

    fn define(&mut self) -> Parse<Piece> {
        let (_, name) = self.template_name("define clause")?;
        self.expect(Kind::RightDelim, "define clause")?;
        self.body(name, "define clause")?;
        Ok(Piece::Nothing)
    }

    /// What a template of its own consists of; it sees no variables of its surroundings.
    fn body(&mut self, name: String, context: &str) -> Parse<()> {
        self.enter()?;
        let outside = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let loops = std::mem::take(&mut self.loops);
        let (list, end) = self.list()?;
        if !matches!(end, End::End) {
            return self.error(format!("unexpected {} in {context}", end.show()));
        }
        (self.variables, self.loops) = (outside, loops);
        self.depth -= 1;
        let is_empty = |list: &[Node]| list.iter().all(|n| matches!(n, Node::Text(text) if text.trim().is_empty()));
        match self.defined.get(&name) {
            Some(known) if !is_empty(known) && !is_empty(&list) => {
                self.error(format!("template: multiple definition of template {}", quote(&name)))
            }
            Some(known) if !is_empty(known) => Ok(()),
            _ => {
                self.defined.insert(name, list);
                Ok(())
            }
        }
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Parse<Pipe> {
        let mut pipe = Pipe { pos: self.peek_word().pos, variables: Vec::new(), assigns: false, commands: Vec::new() };
        self.declarations(&mut pipe, context)?;
        loop {
            let token = self.take_word();
            match token.kind {
                kind if kind == end => break,
                Kind::Bool | Kind::CharConstant | Kind::Field | Kind::Identifier | Kind::Number | Kind::RawString | Kind::String => {}
                Kind::Variable | Kind::LeftParen => {}
                Kind::Keyword if matches!(token.text.as_str(), "." | "nil") => {}
                _ => return self.unexpected(&token, context),
            }
            self.back();
            let command = self.command()?;
            pipe.commands.push(command);
        }
        if pipe.commands.is_empty() {
            return self.error(format!("missing value for {context}"));
        }
        let stands_for_itself = |c: &super::ast::Command| c.args.first().is_some_and(operand::stands_for_itself);
        if let Some(stage) = pipe.commands.iter().skip(1).position(stands_for_itself) {
            return self.error(format!("non executable command in pipeline stage {}", stage + 2));
        }
        Ok(pipe)
    }

    /// `$x :=`, `$x =`, `$i, $x :=`.
    fn declarations(&mut self, pipe: &mut Pipe, context: &str) -> Parse<()> {
        loop {
            let start = self.next;
            let variable = self.peek_word();
            if variable.kind != Kind::Variable {
                return Ok(());
            }
            self.take();
            let follows = self.peek_word();
            match follows.kind {
                Kind::Assign | Kind::Declare => {
                    pipe.assigns = follows.kind == Kind::Assign;
                    self.take();
                    pipe.variables.push(variable.text.clone());
                    self.variables.push(variable.text);
                    return Ok(());
                }
                Kind::Char if follows.text == "," => {
                    self.take();
                    pipe.variables.push(variable.text.clone());
                    self.variables.push(variable.text);
                    if context != "range" || pipe.variables.len() >= 2 {
                        return self.error(format!("too many declarations in {context}"));
                    }
                    if !matches!(self.peek_word().kind, Kind::Variable | Kind::RightDelim | Kind::RightParen) {
                        return self.error("range can only initialize variables");
                    }
                }
                _ => {
                    self.next = start;
                    return Ok(());
                }
            }
        }
    }

    fn knows_function(name: &str) -> bool {
        functions::find(name).is_some()
    }
}

/// A token in a message.
fn show(token: &Token) -> String {
    match token.kind {
        Kind::Eof => "EOF".to_owned(),
        Kind::Keyword => format!("<{}>", token.text),
        _ if token.text.len() > 10 => format!("{}...", quote(&token.text.chars().take(10).collect::<String>())),
        _ => quote(&token.text),
    }
}
