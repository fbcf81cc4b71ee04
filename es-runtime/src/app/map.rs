//! A domain as a diagram: command → aggregate → event → projection → read model.

use std::fmt::{self, Write as _};

use super::DomainTable;
use crate::projection::ProjectionDescriptor;

/// A domain as a diagram, for people: command → aggregate → event → projection → read model. Thick arrows are synchronous: they are part of
/// the append.
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
    fn edge(&self, text: &mut String, from: &str, to: &str, line: Line);
    fn end(&self, text: &mut String);
}

#[derive(Clone, Copy)]
enum Kind {
    Command,
    Aggregate,
    Event,
    Projection,
    ReadModel,
}

#[derive(Clone, Copy)]
enum Line {
    Plain,
    Synchronous,
    Asynchronous,
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
            notation.edge(text, &node, &event_node, Line::Plain);
        }
    }
    for command in table.commands {
        let node = id("command", command.name, "");
        notation.node(text, Kind::Command, &node, command.name);
        notation.edge(text, &node, &id("aggregate", command.aggregate, ""), Line::Plain);
    }
    for projection in table.projections {
        projected(text, notation, projection);
    }
    for domain in table.domains {
        frame(text, notation, domain);
    }
    notation.end_frame(text);
}

fn projected(text: &mut String, notation: &dyn Notation, projection: &ProjectionDescriptor) {
    let node = id("projection", projection.name, "");
    notation.node(text, Kind::Projection, &node, &format!("{} v{}", projection.name, projection.version));
    let mut drawn: Vec<(&str, &str)> = Vec::new();
    for handler in projection.handlers {
        // An event that several functions take has one arrow.
        if drawn.contains(&(handler.category, handler.event)) {
            continue;
        }
        drawn.push((handler.category, handler.event));
        let line = if handler.mode.is_sync() { Line::Synchronous } else { Line::Asynchronous };
        notation.edge(text, &id("event", handler.category, handler.event), &node, line);
    }
    if let Some(read_model) = projection.table {
        let table_node = id("read_model", read_model.name, "");
        notation.node(text, Kind::ReadModel, &table_node, read_model.name);
        notation.edge(text, &node, &table_node, Line::Plain);
    }
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
            Kind::Projection => writeln!(text, "  {id}{{{{\"{name}\"}}}}"),
            Kind::ReadModel => writeln!(text, "  {id}[(\"{name}\")]"),
        };
    }
    fn edge(&self, text: &mut String, from: &str, to: &str, line: Line) {
        let arrow = match line {
            Line::Plain => "-->",
            Line::Synchronous => "==>",
            Line::Asynchronous => "-.->",
        };
        let _ = writeln!(text, "  {from} {arrow} {to}");
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
            Kind::Projection => "hexagon",
            Kind::ReadModel => "cylinder",
        };
        let _ = writeln!(text, "  {id} [label=\"{name}\", shape={shape}];");
    }
    fn edge(&self, text: &mut String, from: &str, to: &str, line: Line) {
        let style = match line {
            Line::Plain => "",
            Line::Synchronous => " [style=bold]",
            Line::Asynchronous => " [style=dashed]",
        };
        let _ = writeln!(text, "  {from} -> {to}{style};");
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
