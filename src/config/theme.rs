//! Theme files: a palette of named colours and a style for every role, with inheritance.
//!
//! ```toml
//! inherits = "dark"
//! [palette]
//! sea = "#5fafaf"
//! [roles]
//! focus = { fg = "sea", modifiers = ["bold"] }
//! ```

use super::dirs::{Dirs, ancestor};
use super::problem::{Problem, Problems, Source, one_of};
use ratatui::style::{Color, Modifier, Style};
use std::collections::BTreeMap;
use toml::{Table, Value};

/// The theme that follows the terminal's background.
pub const AUTO: &str = "auto";

/// Themes inside the program: name and text.
pub const SHIPPED: [(&str, &str); 5] = [
    ("dark", include_str!("../../themes/dark.toml")),
    ("light", include_str!("../../themes/light.toml")),
    ("ansi16", include_str!("../../themes/ansi16.toml")),
    ("mono", include_str!("../../themes/mono.toml")),
    ("colorblind", include_str!("../../themes/colorblind.toml")),
];

/// The sixteen colours every terminal has, and its own foreground or background.
const ANSI: [(&str, Color); 17] = [
    ("default", Color::Reset),
    ("black", Color::Black),
    ("red", Color::Red),
    ("green", Color::Green),
    ("yellow", Color::Yellow),
    ("blue", Color::Blue),
    ("magenta", Color::Magenta),
    ("cyan", Color::Cyan),
    ("gray", Color::Gray),
    ("dark-gray", Color::DarkGray),
    ("light-red", Color::LightRed),
    ("light-green", Color::LightGreen),
    ("light-yellow", Color::LightYellow),
    ("light-blue", Color::LightBlue),
    ("light-magenta", Color::LightMagenta),
    ("light-cyan", Color::LightCyan),
    ("white", Color::White),
];

const MODIFIERS: [(&str, Modifier); 5] = [
    ("bold", Modifier::BOLD),
    ("dim", Modifier::DIM),
    ("italic", Modifier::ITALIC),
    ("underlined", Modifier::UNDERLINED),
    ("reversed", Modifier::REVERSED),
];

/// One file of the chain, read but not resolved.
struct Layer {
    file: String,
    text: String,
    table: Table,
}

/// Loads a theme by name or path and gives the style of each of `roles`, in their order.
pub fn load(name: &str, dirs: &Dirs, roles: &[&str]) -> Result<Vec<Style>, Problems> {
    let layers = chain(name, dirs)?;
    let mut problems = Vec::new();
    let mut palette: BTreeMap<String, Color> = ANSI.iter().map(|(n, c)| ((*n).to_owned(), *c)).collect();
    // From the farthest ancestor to the file itself, so that nearer ones win.
    for layer in layers.iter().rev() {
        let source = Source::parse(&layer.file, &layer.text)?;
        read_palette(layer, &source, &mut palette, &mut problems);
    }
    let mut styles: BTreeMap<&str, Style> = BTreeMap::new();
    for layer in layers.iter().rev() {
        let source = Source::parse(&layer.file, &layer.text)?;
        read_roles(layer, &source, roles, &palette, &mut styles, &mut problems);
    }
    let missing: Vec<&str> = roles.iter().filter(|r| !styles.contains_key(*r)).copied().collect();
    if let (false, Some(first), true) = (missing.is_empty(), layers.first(), problems.is_empty()) {
        let source = Source::parse(&first.file, &first.text)?;
        problems.push(source.problem(
            "roles",
            format!("no style for {}", missing.join(", ")),
            "add them, or write inherits = \"dark\" on the first line",
        ));
    }
    if problems.is_empty() {
        Ok(roles.iter().map(|r| styles.get(r).copied().unwrap_or_default()).collect())
    } else {
        Err(Problems(problems))
    }
}

fn chain(name: &str, dirs: &Dirs) -> Result<Vec<Layer>, Problem> {
    let mut layers: Vec<Layer> = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    let mut next = Some(name.to_owned());
    while let Some(name) = next.take() {
        let child = layers.last().map(|l| (l.file.clone(), l.text.clone()));
        let (file, text) = ancestor(&name, "theme", dirs, &SHIPPED, &seen, child.as_ref())?;
        let table: Table = {
            let source = Source::parse(&file, &text)?;
            let table: Table = toml::from_str(&text).map_err(|e| source.refusal(&e))?;
            for (key, value) in &table {
                let right = match key.as_str() {
                    "inherits" => value.is_str(),
                    "palette" | "roles" => value.is_table(),
                    _ => {
                        let what = format!("unknown key {key:?}");
                        return Err(source.problem(key, what, one_of(key, &["inherits", "palette", "roles"])));
                    }
                };
                if !right {
                    let remedy = "write inherits = \"dark\", [palette] or [roles]";
                    return Err(source.problem(key, format!("is {}", article(value)), remedy));
                }
            }
            table
        };
        next = table.get("inherits").and_then(Value::as_str).map(str::to_owned);
        layers.push(Layer { file, text, table });
        seen.push(name);
    }
    Ok(layers)
}

fn article(value: &Value) -> String {
    let kind = value.type_str();
    format!("{} {kind}", if kind.starts_with(['a', 'i']) { "an" } else { "a" })
}

fn read_palette(layer: &Layer, source: &Source, palette: &mut BTreeMap<String, Color>, problems: &mut Vec<Problem>) {
    let Some(table) = layer.table.get("palette").and_then(Value::as_table) else { return };
    for (name, value) in table {
        match value.as_str().map(|text| color(text, palette)) {
            Some(Ok(color)) => {
                palette.insert(name.clone(), color);
            }
            Some(Err((what, remedy))) => problems.push(source.problem(&format!("palette.{name}"), what, remedy)),
            None => problems.push(source.problem(
                &format!("palette.{name}"),
                format!("is {}", article(value)),
                "write a colour such as \"#5fafaf\"",
            )),
        }
    }
}

fn read_roles<'r>(
    layer: &Layer,
    source: &Source,
    roles: &[&'r str],
    palette: &BTreeMap<String, Color>,
    styles: &mut BTreeMap<&'r str, Style>,
    problems: &mut Vec<Problem>,
) {
    let Some(table) = layer.table.get("roles").and_then(Value::as_table) else { return };
    for (name, value) in table {
        let path = format!("roles.{name}");
        let Some(role) = roles.iter().find(|r| *r == name) else {
            problems.push(source.problem(&path, format!("unknown role {name:?}"), one_of(name, roles)));
            continue;
        };
        match style(value, palette) {
            Ok(style) => {
                styles.insert(role, style);
            }
            Err((field, what, remedy)) => {
                let path = if field.is_empty() { path } else { format!("{path}.{field}") };
                problems.push(source.problem(&path, what, remedy));
            }
        }
    }
}

/// Reads `{ fg, bg, modifiers }`; the error names the field.
fn style(value: &Value, palette: &BTreeMap<String, Color>) -> Result<Style, (String, String, String)> {
    let remedy = "write { fg = \"red\", bg = \"default\", modifiers = [\"bold\"] }";
    let table = value.as_table().ok_or_else(|| (String::new(), format!("is {}", article(value)), remedy.to_owned()))?;
    let mut style = Style::new();
    for (field, value) in table {
        let wrong = |(what, remedy)| (field.clone(), what, remedy);
        let not_text = || wrong((format!("is {}", article(value)), remedy.to_owned()));
        match field.as_str() {
            "fg" => style = style.fg(color(value.as_str().ok_or_else(not_text)?, palette).map_err(wrong)?),
            "bg" => style = style.bg(color(value.as_str().ok_or_else(not_text)?, palette).map_err(wrong)?),
            "modifiers" => {
                for item in value.as_array().ok_or_else(not_text)? {
                    let name = item.as_str().ok_or_else(not_text)?;
                    let known = MODIFIERS.map(|(n, _)| n);
                    let found = MODIFIERS
                        .iter()
                        .find(|(n, _)| *n == name)
                        .ok_or_else(|| wrong((format!("unknown modifier {name:?}"), one_of(name, &known))))?;
                    style = style.add_modifier(found.1);
                }
            }
            _ => return Err(wrong((format!("unknown key {field:?}"), one_of(field, &["fg", "bg", "modifiers"])))),
        }
    }
    Ok(style)
}

/// A colour outside of a theme: `#rrggbb`, a number from 0 to 255, or one of the sixteen names. The error is what
/// is wrong, and the remedy.
pub fn plain_color(text: &str) -> Result<Color, (String, String)> {
    color(text, &ANSI.iter().map(|(n, c)| ((*n).to_owned(), *c)).collect())
}

/// `#rrggbb`, a number from 0 to 255, or a name of the palette.
fn color(text: &str, palette: &BTreeMap<String, Color>) -> Result<Color, (String, String)> {
    if let Some(hex) = text.strip_prefix('#') {
        return u32::from_str_radix(hex, 16)
            .ok()
            .filter(|_| hex.len() == 6)
            .map(|n| Color::Rgb((n >> 16) as u8, (n >> 8) as u8, n as u8))
            .ok_or_else(|| {
                (format!("{text:?} is not a colour"), "write six hexadecimal digits, as in \"#5fafaf\"".into())
            });
    }
    if let Ok(n) = text.parse::<u8>() {
        return Ok(Color::Indexed(n));
    }
    palette.get(text).copied().ok_or_else(|| {
        let known: Vec<&str> = palette.keys().map(String::as_str).collect();
        let remedy = super::problem::nearest(text, &known).map_or_else(
            || "use #rrggbb, 0 to 255, a name of [palette], or one of the sixteen such as light-red".to_owned(),
            |near| format!("did you mean {near:?}?"),
        );
        (format!("unknown colour {text:?}"), remedy)
    })
}
