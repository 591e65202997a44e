//! The schema of the file for machines: JSON Schema for an editor, and the tables of the reference page.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform, transform_subschemas};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::schema::Config;

/// The file's JSON Schema (draft 7, which TOML editors know), with each key's meaning, default and bounds.
pub fn document() -> Value {
    let settings = SchemaSettings::draft07()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(RecursiveTransform(for_toml))
        .with_transform(SecretFiles);
    SchemaGenerator::new(settings).into_root_schema_for::<Config>().to_value()
}

/// Every key as a dotted path, the entries of a list without index: `feeds.passphrase`.
pub fn paths() -> Vec<String> {
    keys().into_iter().map(|key| key.path).collect()
}

/// The keys as Markdown: a heading and a table for each section. `docs/configuration.md` holds it.
pub fn reference() -> String {
    let (mut text, mut section) = (String::new(), String::new());
    for key in keys() {
        let Some((of, name)) = key.path.rsplit_once('.') else { continue };
        if key.is_section() {
            continue;
        }
        if of != section {
            let header = if key.listed { format!("[[{of}]]") } else { format!("[{of}]") };
            text.push_str(&format!(
                "\n### `{header}`\n\n| key | value | default | meaning |\n|---|---|---|---|\n"
            ));
            of.clone_into(&mut section);
        }
        let default = if key.required { "required".to_owned() } else { key.default };
        text.push_str(&format!("| `{name}` | {} | {default} | {} |\n", key.kind, key.description));
    }
    text
}

/// One key of the schema.
pub(crate) struct Key {
    pub(crate) path: String,
    /// It is a key of the entries of a list.
    pub(crate) listed: bool,
    /// What it may be set to; empty for a section.
    kind: String,
    default: String,
    description: String,
    required: bool,
    /// Its schema.
    pub(crate) schema: Value,
}

impl Key {
    pub(crate) fn is_section(&self) -> bool {
        self.kind.is_empty()
    }

    pub(crate) fn is_list(&self) -> bool {
        self.schema["type"] == "array"
    }
}

/// Every key: those of a section come together, after the section itself.
pub(crate) fn keys() -> Vec<Key> {
    let mut keys = Vec::new();
    walk(&document(), "", false, &mut keys);
    keys
}

fn walk(section: &Value, path: &str, listed: bool, keys: &mut Vec<Key>) {
    let no_properties = Map::new();
    let properties = section["properties"].as_object().unwrap_or(&no_properties);
    let required = |name: &str| section["required"].as_array().is_some_and(|all| all.contains(&json!(name)));
    for (name, schema) in properties {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let entry = &schema["items"];
        let is_section = schema.get("properties").is_some() || entry.get("properties").is_some();
        keys.push(Key {
            kind: if is_section { String::new() } else { kind(schema) },
            default: schema.get("default").map_or_else(String::new, |default| format!("`{default}`")),
            description: schema["description"].as_str().unwrap_or("").replace('|', "\\|"),
            required: required(name),
            listed,
            schema: schema.clone(),
            path: path.clone(),
        });
        walk(schema, &path, listed, keys);
        walk(entry, &path, true, keys);
    }
}

/// What a key may be set to, as the reference says it.
fn kind(schema: &Value) -> String {
    if schema["type"] == "array" {
        return format!("list of {}", kind(&schema["items"]));
    }
    let between = |least: &Value, most: &Value| {
        let plain = |bound: &Value| bound.as_str().map_or_else(|| bound.to_string(), str::to_owned);
        format!("{} to {}", plain(least), plain(most))
    };
    let choice = schema
        .get("enum")
        .and_then(Value::as_array)
        .map(|values| values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", "));
    let choices = schema.get("oneOf").and_then(Value::as_array).map(|options| {
        options.iter().map(|option| format!("`{}`", option["const"])).collect::<Vec<_>>().join(", ")
    });
    if let Some(choice) = choice.or(choices) {
        return choice;
    }
    let name = match (schema["format"].as_str(), schema["type"].as_str()) {
        (Some(format @ ("passphrase" | "token")), _) => {
            return format!("{format} of {} bytes", between(&schema["minLength"], &schema["maxLength"]));
        }
        (Some("bytes"), _) => "size",
        (Some("bit-rate"), _) => "bit rate",
        (Some("address"), _) => "address:port",
        (Some(format), Some("string")) => format,
        (_, Some("integer")) => "number",
        (_, Some("boolean")) => "`true`, `false`",
        _ => "text",
    };
    match (schema.get("x-range"), schema.get("minimum"), schema.get("maximum")) {
        (Some(range), ..) => format!("{name}, {}", between(&range[0], &range[1])),
        (_, Some(least), Some(most)) => format!("{name}, {}", between(least, most)),
        _ => name.to_owned(),
    }
}

/// What Rust and serde say, as a reader of TOML sees it.
fn for_toml(schema: &mut Schema) {
    // TOML has no null: what may be left out is left out.
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".into(), only);
        }
    }
    // The default of a section is that of its keys.
    if matches!(schema.get("default"), Some(Value::Null | Value::Object(_))) {
        schema.remove("default");
    }
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
    // An unsigned number says so by its minimum; editors do not know the format.
    if schema.get("type") == Some(&json!("integer")) {
        schema.remove("format");
    }
}

/// Each secret may stand in a file of its own.
#[derive(Debug, Clone)]
struct SecretFiles;

impl Transform for SecretFiles {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            let is_secret = |(_, schema): &(&String, &Value)| {
                matches!(schema["format"].as_str(), Some("passphrase" | "token"))
            };
            let secrets: Vec<String> =
                properties.iter().filter(is_secret).map(|(name, _)| name.clone()).collect();
            for name in secrets {
                let description = format!(
                    "File with the {name} alone in it, instead of `{name}`. Relative to the directory of the \
                     configuration."
                );
                properties.insert(
                    format!("{name}_file"),
                    json!({ "type": "string", "format": "path", "description": description }),
                );
            }
        }
        transform_subschemas(self, schema);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_says_what_it_is() {
        for key in keys() {
            assert!(!key.description.is_empty(), "{} has no description", key.path);
        }
    }

    #[test]
    fn each_key_of_a_section_has_a_default_or_may_be_left_out() {
        let document = document();
        assert!(document.get("required").is_none(), "{document:#}");
        let latency = &document["properties"]["ingest"]["properties"]["srt"]["properties"]["latency"];
        assert_eq!(latency["default"], "120ms");
        assert_eq!(latency["format"], "duration");
        let feed = &document["properties"]["feeds"]["items"];
        assert_eq!(feed["required"], json!(["id"]));
        assert_eq!(feed["additionalProperties"], false);
        assert_eq!(feed["properties"]["history_bytes"]["default"], "64MiB");
        assert_eq!(feed["properties"]["passphrase"]["type"], "string");
    }
}
