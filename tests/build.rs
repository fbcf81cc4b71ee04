//! Turns the front page and the tutorial into doctests: a chapter's Rust blocks are one program, read from top to bottom.
//!
//! Chapter 1 declares the domain. Its declarations are the module `library` of every chapter, so that what a chapter uses is
//! what the reader has seen. Blocks marked `compile_fail` stand alone. Functions marked as tests are called.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

const CHAPTERS: [&str; 5] = ["1-declare", "2-run", "3-test", "4-evolve", "5-read"];

fn main() -> io::Result<()> {
    let docs = Path::new("../docs");
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    println!("cargo::rerun-if-changed=../docs");
    let mut library = String::new();
    for chapter in CHAPTERS {
        let page = docs.join(chapter).with_extension("md");
        let blocks = blocks(&fs::read_to_string(&page)?);
        if chapter == CHAPTERS[0] {
            library = blocks.iter().filter(|block| block.is("rust") && !block.is_step()).map(Block::numbered).collect();
        }
        fs::write(Path::new(&out).join(chapter), doctests(chapter == CHAPTERS[0], &library, &blocks))?;
    }
    println!("cargo::rerun-if-changed=../README.md");
    fs::write(Path::new(&out).join("readme"), front_page(&blocks(&fs::read_to_string("../README.md")?)))
}

/// The first block is a program; what follows declares more beside its domain, and goes on in a `main` of its own.
fn front_page(blocks: &[Block]) -> String {
    let mut rust = blocks.iter().filter(|block| block.is("rust"));
    let program = rust.next().map(|block| block.code.as_str()).unwrap_or_default();
    let domain = program.split("#[tokio::main]").next().unwrap_or_default();
    let (steps, declarations): (Vec<_>, Vec<_>) = rust.partition(|block| block.is_step());
    let numbered = |blocks: Vec<&Block>| blocks.into_iter().map(Block::numbered).collect::<String>();
    let (steps, declarations) = (numbered(steps), numbered(declarations));
    format!(
        "```rust\n{program}```\n\n```rust\n{domain}{declarations}\
         #[tokio::main]\nasync fn main() -> Result<(), Box<dyn std::error::Error>> {{\n{steps}Ok(())\n}}\n```\n"
    )
}

/// A fenced block of a page.
struct Block {
    language: String,
    line: usize,
    code: String,
}

impl Block {
    fn is(&self, language: &str) -> bool {
        self.language == language
    }

    /// Steps run, one after the other; everything else declares.
    fn is_step(&self) -> bool {
        self.code.lines().any(|line| line.starts_with("let ") || line.starts_with("assert"))
    }

    /// The code behind its line in the page, for who reads an error message.
    fn numbered(&self) -> String {
        format!("// line {}\n{}", self.line, self.code)
    }
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                open = Some(Block { language: language.to_owned(), line: index + 1, code: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.code.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    blocks
}

fn doctests(declares: bool, library: &str, blocks: &[Block]) -> String {
    let rust = || blocks.iter().filter(|block| block.is("rust"));
    let declarations: String = rust().filter(|block| !declares && !block.is_step()).map(Block::numbered).collect();
    let (declarations, calls) = callable(&declarations);
    let steps: String = rust().filter(|block| block.is_step()).map(Block::numbered).collect();
    // What a step imports, the declarations below it may use too.
    let (imports, steps): (Vec<&str>, Vec<&str>) = steps.lines().partition(|line| line.starts_with("use "));
    let (mut imports, steps) = (imports.join("\n"), steps.join("\n"));
    if declares {
        imports.push_str("use es_runtime::prelude::*;\nuse library::*;");
    }
    let mut text = format!(
        "```rust\nmod library {{\n{library}}}\n{imports}\n{declarations}\n\
         #[tokio::main]\nasync fn main() -> Result<(), Box<dyn std::error::Error>> {{\n{steps}\n{calls}Ok(())\n}}\n```\n"
    );
    for block in blocks.iter().filter(|block| block.language.contains("compile_fail")) {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "\n```{}\n{}```\n", block.language, block.code);
    }
    text
}

/// Lets test functions be called: a doctest runs its `main` only.
fn callable(declarations: &str) -> (String, String) {
    let (mut code, mut calls) = (String::new(), String::new());
    let mut marker = "";
    for line in declarations.lines() {
        if ["#[test]", "#[tokio::test]"].contains(&line) {
            marker = line;
            continue;
        }
        let name = line.strip_prefix("async fn ").or(line.strip_prefix("fn ")).and_then(|rest| rest.split('(').next());
        if let (Some(name), false) = (name, marker.is_empty()) {
            let wait = if line.starts_with("async") { ".await?" } else { "" };
            calls.extend([name, "()", wait, ";\n"]);
            marker = "";
        }
        code.extend([line, "\n"]);
    }
    (code, calls)
}
