//! The stored form of a type, found by tracing its `Deserialize`.

use std::fmt::Write as _;

use serde::de::DeserializeOwned;

use super::trace::{Kind, Step, at};

/// The stored form of a type that is not annotated: names of fields and variants as they are stored, and plain types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// A number, a text, a truth value or `null`, by the name of the type that is read.
    Plain(&'static str),
    /// A value that may be absent.
    Optional(Box<Form>),
    /// A list of values of one form.
    List(Box<Form>),
    /// An object whose keys and values have one form each.
    Map(Box<Form>, Box<Form>),
    /// A list whose items have a form each.
    Tuple(Vec<Form>),
    /// An object with fields.
    Struct(Vec<(&'static str, Form)>),
    /// One of several variants, each with its value, if it has one.
    Enum(Vec<(&'static str, Option<Form>)>),
    /// An object with a tag that says which variant it is. What the variants hold is not visible.
    Tagged(&'static str, &'static [&'static str]),
    /// The type around, by its name.
    Again(&'static str),
    /// Not visible: the type reads whatever there is. With what it says that it expects.
    Hidden(String),
}

/// Types inside types are followed this deep.
const DEPTH: usize = 24;

/// Returns the stored form of `T`.
#[must_use]
pub fn form<T: DeserializeOwned>() -> Form {
    Explorer { at: at::<T>, path: Vec::new(), around: Vec::new() }.explore()
}

/// Goes down every path. Not generic, so that it is compiled once.
struct Explorer {
    at: fn(&[Step]) -> Option<Kind>,
    path: Vec<Step>,
    /// The structs and enums around, with their fields or variants.
    around: Vec<(&'static str, &'static [&'static str])>,
}

impl Explorer {
    fn explore(&mut self) -> Form {
        let kind = if self.path.len() < DEPTH { (self.at)(&self.path) } else { None };
        match kind {
            None | Some(Kind::Tag(_) | Kind::Variants(_) | Kind::Unit | Kind::Newtype) => {
                Form::Hidden("it cannot be traced".to_owned())
            }
            Some(Kind::Plain(name)) => Form::Plain(name),
            Some(Kind::Optional) => Form::Optional(Box::new(self.inside(Step::Inside))),
            Some(Kind::List) => Form::List(Box::new(self.inside(Step::Inside))),
            Some(Kind::Map) => Form::Map(Box::new(self.inside(Step::Key)), Box::new(self.inside(Step::Value))),
            Some(Kind::Tuple(len)) => Form::Tuple((0..len).map(|index| self.inside(Step::Item(index))).collect()),
            Some(Kind::Struct(name, fields)) => self.named(name, fields, Self::fields),
            Some(Kind::Enum(name, variants)) => self.named(name, variants, Self::variants),
            Some(Kind::Any(expected)) => self.tagged().unwrap_or(Form::Hidden(expected)),
        }
    }

    fn inside(&mut self, step: Step) -> Form {
        self.path.push(step);
        let form = self.explore();
        self.path.pop();
        form
    }

    fn named(
        &mut self,
        name: &'static str,
        parts: &'static [&'static str],
        explore: fn(&mut Self, &'static [&'static str]) -> Form,
    ) -> Form {
        if self.around.contains(&(name, parts)) {
            return Form::Again(name);
        }
        self.around.push((name, parts));
        let form = explore(self, parts);
        self.around.pop();
        form
    }

    fn fields(&mut self, fields: &'static [&'static str]) -> Form {
        Form::Struct(fields.iter().map(|field| (*field, self.inside(Step::Field(field)))).collect())
    }

    fn variants(&mut self, variants: &'static [&'static str]) -> Form {
        Form::Enum(variants.iter().map(|variant| (*variant, self.variant(variant))).collect())
    }

    fn variant(&mut self, variant: &'static str) -> Option<Form> {
        self.path.push(Step::Variant(variant));
        let form = match (self.at)(&self.path) {
            Some(Kind::Unit) => None,
            Some(Kind::Newtype) => Some(self.inside(Step::Inside)),
            _ => Some(self.explore()),
        };
        self.path.pop();
        form
    }

    /// An internally tagged enum asks for whatever there is, then misses its tag, then does not know a variant.
    fn tagged(&mut self) -> Option<Form> {
        let Kind::Tag(tag) = self.look(Step::Tag)? else { return None };
        let Kind::Variants(variants) = self.look(Step::Tagged(tag))? else { return None };
        Some(Form::Tagged(tag, variants))
    }

    fn look(&mut self, step: Step) -> Option<Kind> {
        self.path.push(step);
        let kind = (self.at)(&self.path);
        self.path.pop();
        kind
    }
}

impl Form {
    /// Returns `true` if a part of the form is not visible.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        match self {
            Self::Hidden(_) | Self::Tagged(..) => true,
            Self::Plain(_) | Self::Again(_) => false,
            Self::Optional(form) | Self::List(form) => form.is_hidden(),
            Self::Map(key, value) => key.is_hidden() || value.is_hidden(),
            Self::Tuple(forms) => forms.iter().any(Self::is_hidden),
            Self::Struct(fields) => fields.iter().any(|(_, form)| form.is_hidden()),
            Self::Enum(variants) => variants.iter().any(|(_, form)| form.as_ref().is_some_and(Self::is_hidden)),
        }
    }

    /// Writes the form as lines, indented by `depth` levels.
    pub(crate) fn write_into(&self, text: &mut String, depth: usize) {
        match self {
            Self::Struct(fields) => fields.iter().for_each(|(name, form)| form.line(text, depth, name, ": ")),
            Self::Enum(variants) => {
                for (name, form) in variants {
                    match form {
                        None => line(text, depth, &format!("| {name}")),
                        Some(form) => form.line(text, depth, &format!("| {name}"), " "),
                    }
                }
            }
            Self::Tagged(tag, variants) => {
                line(text, depth, &format!("tag {tag}, with fields that are not visible here"));
                variants.iter().for_each(|variant| line(text, depth, &format!("| {variant}")));
            }
            Self::Optional(form) | Self::List(form) if self.has_parts() => form.write_into(text, depth),
            Self::Map(key, value) if self.has_parts() => {
                [key, value].iter().filter(|form| form.has_parts()).for_each(|form| form.write_into(text, depth));
            }
            Self::Tuple(forms) => {
                for (index, form) in forms.iter().enumerate() {
                    form.line(text, depth, &index.to_string(), ": ");
                }
            }
            Self::Optional(_) | Self::List(_) | Self::Map(..) | Self::Plain(_) | Self::Again(_) | Self::Hidden(_) => {
                line(text, depth, &self.name());
            }
        }
    }

    /// Writes one part: its name and type, and the parts inside below.
    fn line(&self, text: &mut String, depth: usize, name: &str, between: &str) {
        line(text, depth, &format!("{name}{between}{}", self.name()));
        if self.has_parts() {
            self.write_into(text, depth + 1);
        }
    }

    fn has_parts(&self) -> bool {
        match self {
            Self::Struct(_) | Self::Enum(_) | Self::Tagged(..) | Self::Tuple(_) => true,
            Self::Optional(form) | Self::List(form) => form.has_parts(),
            Self::Map(key, value) => key.has_parts() || value.has_parts(),
            Self::Plain(_) | Self::Again(_) | Self::Hidden(_) => false,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Plain(name) => (*name).to_owned(),
            Self::Optional(form) => format!("optional {}", form.name()),
            Self::List(form) => format!("list of {}", form.name()),
            Self::Map(key, value) => format!("map of {} to {}", key.name(), value.name()),
            Self::Tuple(forms) => format!("tuple of {}", forms.len()),
            Self::Struct(_) => "struct".to_owned(),
            Self::Enum(_) | Self::Tagged(..) => "enum".to_owned(),
            Self::Again(name) => format!("{name}, as around"),
            Self::Hidden(expected) => format!("not visible here ({expected})"),
        }
    }
}

fn line(text: &mut String, depth: usize, content: &str) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "{:indent$}{content}", "", indent = depth * 2);
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use chrono::{DateTime, Utc};
    use serde::Deserialize;
    use uuid::Uuid;

    use super::*;

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its form is looked at")]
    #[serde(rename_all = "camelCase")]
    struct Inner {
        #[serde(default)]
        late_count: u64,
        #[serde(rename = "when")]
        at: Option<DateTime<Utc>>,
        pairs: Vec<(Uuid, Status)>,
        by_status: HashMap<Status, f32>,
        tree: Tree,
    }

    #[derive(Deserialize, PartialEq, Eq, Hash)]
    #[serde(rename_all = "kebab-case")]
    enum Status {
        StillOpen,
        Closed(u8),
        Refunded { by: String, cents: i64 },
        Split(bool, Uuid),
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its form is looked at")]
    struct Tree {
        below: Vec<Tree>,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its form is looked at")]
    struct Newtype(u16);

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its form is looked at")]
    #[serde(tag = "kind")]
    enum Tagged {
        One { a: u8 },
        Two,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its form is looked at")]
    #[serde(tag = "kind", content = "value")]
    enum Adjacent {
        One(u8),
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its form is looked at")]
    #[serde(untagged)]
    enum Untagged {
        Number(f64),
    }

    fn lines<T: DeserializeOwned>() -> String {
        let mut text = String::new();
        form::<T>().write_into(&mut text, 0);
        text
    }

    #[test]
    fn stored_names_and_everything_inside_are_found() {
        let status = "| still-open\n| closed u8\n| refunded struct\n  by: str\n  cents: i64\n| split tuple of 2\n  0: bool\n  1: str\n";
        assert_eq!(lines::<Status>(), status);
        let inner = "\
lateCount: u64
when: optional str
pairs: list of tuple of 2
  0: str
  1: enum
    | still-open
    | closed u8
    | refunded struct
      by: str
      cents: i64
    | split tuple of 2
      0: bool
      1: str
byStatus: map of enum to f32
  | still-open
  | closed u8
  | refunded struct
    by: str
    cents: i64
  | split tuple of 2
    0: bool
    1: str
tree: struct
  below: list of Tree, as around
";
        assert_eq!(lines::<Option<Inner>>(), inner);
        assert!(!form::<Inner>().is_hidden());
    }

    #[test]
    fn a_newtype_is_what_is_inside() {
        assert_eq!(lines::<Newtype>(), "u16\n");
        assert_eq!(lines::<BTreeMap<String, Newtype>>(), "map of str to u16\n");
    }

    #[test]
    fn tags_are_found_and_what_is_not_visible_is_said() {
        assert_eq!(lines::<Tagged>(), "tag kind, with fields that are not visible here\n| One\n| Two\n");
        assert!(
            lines::<Adjacent>().starts_with("kind: enum\n  | One\nvalue: not visible here"),
            "{}",
            lines::<Adjacent>()
        );
        assert!(lines::<Untagged>().starts_with("not visible here"));
        for form in [form::<Tagged>(), form::<Adjacent>(), form::<Untagged>(), form::<serde_json::Value>()] {
            assert!(form.is_hidden(), "{form:?}");
        }
    }
}
