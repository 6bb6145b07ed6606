//! Which functions stand together in the library: those on the way of the operations measured here. The operation that goes
//! through the most of them comes first, and the next one adds what it has of its own.
//!
//! A call goes through some hundred short functions, which a linker spreads over megabytes. Each page of them is an entry
//! of the processor's table of translations, and each of those that is gone costs a walk through memory: to a program that
//! does other things between two calls, and on a virtual machine, whose host empties the table with every interrupt, more
//! than all instructions of the call.

use crate::provider::Provider;
use crate::{callgrind, rows};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

/// Enough for what is done once in a while, as refilling a store of random bytes, to be seen in some row.
const TIMES: u64 = 20;
/// What takes more instructions than so many does not feel a page more or less.
const MOST: u64 = 1_000_000;

/// The child's part, under valgrind: all rows but those of megabytes and those that take seconds.
pub fn child(provider: &Provider) -> Result<Value, String> {
    let desk = provider.start()?;
    let rows = rows::all();
    let mut done = Vec::new();
    for row in rows.iter().filter(|row| row.bytes < 1 << 20 && !row.uneven) {
        callgrind::watch(&row.name, &|| (row.module)(&desk), TIMES)?;
        done.push([&row.name]);
    }
    Ok(json!(done))
}

/// Writes the linker script.
///
/// # Errors
/// What failed; or that there is no valgrind.
pub fn write(provider: &Provider, file: &Path) -> Result<(), String> {
    let module = provider.path.canonicalize().map_err(|error| error.to_string())?;
    let profiles = callgrind::profiles::<1>(provider, "walk", &["--demangle=no"])?;
    let short = profiles.iter().filter(|(_, profile)| callgrind::total(profile) / TIMES < MOST);
    let of_row = |(_, profile): &(_, String)| -> BTreeSet<String> {
        functions(profile, &module.to_string_lossy()).into_iter().filter_map(pattern).collect()
    };
    let mut rows: Vec<_> = short.map(of_row).collect();
    rows.sort_by_key(|functions| Reverse(functions.len()));
    let users = |function: &String| rows.iter().filter(|functions| functions.contains(function)).count();
    let (mut order, mut placed) = (Vec::new(), BTreeSet::new());
    for functions in &rows {
        let mut new: Vec<_> = functions.iter().filter(|each| placed.insert(*each)).collect();
        new.sort_by_key(|each| Reverse(users(each)));
        order.extend(new);
    }
    let mut text = String::from(HEAD);
    order.iter().for_each(|each| text += &format!("    *(.text.{each})\n"));
    text += TAIL;
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    println!("{} functions stand together", order.len());
    Ok(())
}

const HEAD: &str = "\
/* Made by `make layout`, not by hand: the functions on the way of calls, to stand together. A name that is no more
 * finds nothing and does no harm. */
SECTIONS {
  .text : {
";
const TAIL: &str = "  }\n} INSERT AFTER .init;\n";

/// The functions of one object that a profile has costs of. Names are written out once and a number later, also where they
/// are those of callees.
fn functions(profile: &str, object: &str) -> Vec<String> {
    let (mut names, mut current, mut found) = (HashMap::new(), false, Vec::new());
    for line in profile.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        let kind = match key {
            "ob" | "cob" => "object",
            "fn" | "cfn" => "function",
            _ => continue,
        };
        let (number, name) = value.split_once(' ').unwrap_or((value, ""));
        if !name.is_empty() {
            names.insert((kind, number), name);
        }
        let name = names.get(&(kind, number)).copied().unwrap_or_default();
        match key {
            "ob" => current = name == object,
            "fn" if current => found.push(name.to_string()),
            _ => {}
        }
    }
    found
}

/// A linker's pattern for the function: without what a compiler, a version or a recursion adds to its name.
fn pattern(name: String) -> Option<String> {
    let name = name.split_once('\'').map_or(name.as_str(), |(name, _)| name);
    let name = name.split_once(".llvm.").map_or(name, |(name, _)| name);
    if name.starts_with('(') || name.starts_with("0x") {
        return None;
    }
    if let Some((path, _)) = name.rsplit_once("17h").filter(|_| name.starts_with("_ZN")) {
        return Some(format!("{path}17h*"));
    }
    if let Some((_, path)) = name.split_once("7___rustc") {
        return Some(format!("*7___rustc{path}"));
    }
    let parts: Vec<_> = name.split('_').collect();
    match parts[..] {
        ["aws", "lc", _, _, _, ..] => Some(format!("aws_lc_*_{}", parts[5..].join("_"))),
        _ => Some(name.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_freed_of_what_changes() {
        let patterns = [
            ("_ZN6coffer3abi4call17h0123456789abcdefE.llvm.123", "_ZN6coffer3abi4call17h*"),
            ("_ZN6coffer3abi4drop17h0123456789abcdefE'2", "_ZN6coffer3abi4drop17h*"),
            ("_RNvCsfLfy6EI15iL_7___rustc12___rust_alloc", "*7___rustc12___rust_alloc"),
            ("aws_lc_0_47_0_EC_POINT_mul", "aws_lc_*_EC_POINT_mul"),
            ("C_Encrypt", "C_Encrypt"),
        ];
        for (name, expected) in patterns {
            assert_eq!(pattern(name.into()).unwrap(), expected);
        }
        assert!(pattern("(below main)".into()).is_none());
    }

    #[test]
    fn functions_are_those_of_the_object() {
        let profile = "ob=(1) /lib/a.so\nfn=(1) one\n1 2\ncob=(2) /lib/b.so\ncfn=(2) two\ncalls=1 2\n1 3\n\n\
                       ob=(2)\nfn=(2)\n1 3\n\nob=(1)\nfn=(3) three\n1 1\n";
        assert_eq!(functions(profile, "/lib/a.so"), ["one", "three"]);
        assert_eq!(functions(profile, "/lib/b.so"), ["two"]);
    }
}
