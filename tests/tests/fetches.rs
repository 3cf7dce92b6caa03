//! The core's table of sample fetches against the installed haproxy. `UPDATE_EXPECT=1` writes what
//! was measured: a new case is its expression alone.

use std::fs;
use std::path::Path;
use std::process::Command;

use tidegate_tests::exchanges::proxy::{Kind, find};
use tidegate_tests::fetches::{measure, read, rewrite};

#[test]
fn the_cases_are_what_haproxy_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src/sample/fetch");
    let program = match find(Kind::Haproxy, false) {
        Ok(program) if is_2_6(&program) => program,
        Ok(_) => return println!("SKIPPED: haproxy is not of version 2.6"),
        Err(why) => return println!("SKIPPED: {why}"),
    };
    let path = root.join("cases.txt");
    let text = fs::read_to_string(&path).expect("the cases");
    let mut blocks = read(&text).expect("the cases are readable");
    let dir = std::env::temp_dir().join(format!("tidegate-fetches-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a directory");
    let differ = measure(&program, &dir, &mut blocks);
    let _ = fs::remove_dir_all(&dir);
    let differ = differ.expect("haproxy answers");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, rewrite(&text, &blocks)).expect("the cases are written");
        return;
    }
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
}

#[test]
fn the_table_is_what_haproxy_registers() {
    let program = match find(Kind::Haproxy, false) {
        Ok(program) if is_2_6(&program) => program,
        _ => return println!("SKIPPED: no haproxy of version 2.6"),
    };
    let out = Command::new(program)
        .args(["-dKsmp", "-c", "-f", "/dev/null"])
        .output()
        .expect("haproxy runs");
    let out = String::from_utf8_lossy(&out.stdout).into_owned();
    let dumped = out.lines().filter_map(|line| {
        let (columns, rest) = line.strip_prefix("[ ")?.split_once(" ] ")?;
        let (call, kind) = rest.rsplit_once(": ")?;
        Some(format!("{} {kind:4} {call}", columns.replace(' ', "")))
    });
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src/sample/fetch");
    let table = fs::read_to_string(root.join("registered.txt")).expect("the table");
    let table: Vec<&str> = table.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(dumped.collect::<Vec<String>>(), table);
}

fn is_2_6(program: &Path) -> bool {
    let out = Command::new(program).arg("-v").output();
    out.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains("version 2.6"))
}
