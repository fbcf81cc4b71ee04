//! A domain as a diagram: command → aggregate → event.

use std::fmt::{self, Write as _};

use super::DomainTable;

/// A domain as a diagram, for people: command → aggregate → event.
///
/// Displayed, it is a Mermaid flowchart, which GitHub and many editors draw; [`graphviz`](Self::graphviz) gives DOT.
#[derive(Clone, Copy, Debug)]
pub struct DomainMap(&'static DomainTable);

/// How one kind of diagram writes nodes, edges and frames.
trait Notation {
    fn begin(&self, text: &mut String);
    fn frame(&self, text: &mut String, id: &str, name: &str);
    fn end_frame(&self, text: &mut String);
    fn node(&self, text: &mut String, kind: Kind, id: &str, name: &str);
    fn edge(&self, text: &mut String, from: &str, to: &str);
    fn end(&self, text: &mut String);
}

#[derive(Clone, Copy)]
enum Kind {
    Command,
    Aggregate,
    Event,
}

impl DomainMap {
    pub(crate) const fn of(table: &'static DomainTable) -> Self {
        Self(table)
    }

    /// Renders the diagram as a Mermaid flowchart.
    #[must_use]
    pub fn mermaid(self) -> String {
        self.render(&Mermaid)
    }

    /// Renders the diagram in Graphviz's DOT language.
    #[must_use]
    pub fn graphviz(self) -> String {
        self.render(&Graphviz)
    }

    fn render(self, notation: &dyn Notation) -> String {
        let mut text = String::new();
        notation.begin(&mut text);
        frame(&mut text, notation, self.0);
        notation.end(&mut text);
        text
    }
}

fn frame(text: &mut String, notation: &dyn Notation, table: &DomainTable) {
    notation.frame(text, &id("domain", table.name, ""), table.name);
    for aggregate in table.aggregates {
        let node = id("aggregate", aggregate.name, "");
        notation.node(text, Kind::Aggregate, &node, aggregate.name);
        for event in aggregate.events {
            // An event's node is its aggregate's: two aggregates may list the same event.
            let event_node = id("event", aggregate.name, event.name);
            notation.node(text, Kind::Event, &event_node, &format!("{} v{}", event.name, event.version));
            notation.edge(text, &node, &event_node);
        }
    }
    for command in table.commands {
        let node = id("command", command.name, "");
        notation.node(text, Kind::Command, &node, command.name);
        notation.edge(text, &node, &id("aggregate", command.aggregate, ""));
    }
    for domain in table.domains {
        frame(text, notation, domain);
    }
    notation.end_frame(text);
}

/// Makes an id that both languages take: letters, digits and underscores.
fn id(kind: &str, name: &str, part: &str) -> String {
    let plain = |text: &str| text.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    if part.is_empty() { format!("{kind}_{}", plain(name)) } else { format!("{kind}_{}__{}", plain(name), plain(part)) }
}

// Writing to a `String` cannot fail, so the results are let go.
struct Mermaid;

impl Notation for Mermaid {
    fn begin(&self, text: &mut String) {
        text.push_str("flowchart LR\n");
    }
    fn frame(&self, text: &mut String, id: &str, name: &str) {
        let _ = writeln!(text, "subgraph {id}[\"{name}\"]");
    }
    fn end_frame(&self, text: &mut String) {
        text.push_str("end\n");
    }
    fn node(&self, text: &mut String, kind: Kind, id: &str, name: &str) {
        let _ = match kind {
            Kind::Command => writeln!(text, "  {id}[/\"{name}\"/]"),
            Kind::Aggregate => writeln!(text, "  {id}[[\"{name}\"]]"),
            Kind::Event => writeln!(text, "  {id}([\"{name}\"])"),
        };
    }
    fn edge(&self, text: &mut String, from: &str, to: &str) {
        let _ = writeln!(text, "  {from} --> {to}");
    }
    fn end(&self, _: &mut String) {}
}

struct Graphviz;

impl Notation for Graphviz {
    fn begin(&self, text: &mut String) {
        text.push_str("digraph domain {\n  rankdir=LR;\n");
    }
    fn frame(&self, text: &mut String, id: &str, name: &str) {
        let _ = writeln!(text, "subgraph cluster_{id} {{\n  label=\"{name}\";");
    }
    fn end_frame(&self, text: &mut String) {
        text.push_str("}\n");
    }
    fn node(&self, text: &mut String, kind: Kind, id: &str, name: &str) {
        let shape = match kind {
            Kind::Command => "cds",
            Kind::Aggregate => "box3d",
            Kind::Event => "ellipse",
        };
        let _ = writeln!(text, "  {id} [label=\"{name}\", shape={shape}];");
    }
    fn edge(&self, text: &mut String, from: &str, to: &str) {
        let _ = writeln!(text, "  {from} -> {to};");
    }
    fn end(&self, text: &mut String) {
        text.push_str("}\n");
    }
}

impl fmt::Display for DomainMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.mermaid())
    }
}
