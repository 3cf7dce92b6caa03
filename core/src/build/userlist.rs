//! `userlist` sections: users, their passwords, and groups. A group may name its users, a user its
//! groups, in any order; both add up.

use std::sync::Arc;

use crate::config::keywords::Context;
use crate::config::{Section, Span, Statement, Word};
use crate::proxy::userlist::{Password, User, Userlist};

use super::Builder;
use super::args::Args;

/// A name that a line points to with another.
struct Member {
    user: String,
    group: String,
    span: Span,
}

impl Builder<'_> {
    /// `userlist <name>`.
    pub(super) fn userlist(&mut self, section: &Section) {
        let mut list = Userlist { name: section.name().into(), users: Vec::new() };
        let mut groups: Vec<&str> = Vec::new();
        let (mut of_users, mut of_groups) = (Vec::new(), Vec::new());
        for statement in &section.statements {
            let context = Context::Line(section.kind);
            match self.keyword(context, statement).map(|keyword| keyword.name) {
                Some("group") => self.group(statement, section, &mut groups, &mut of_groups),
                Some("user") => self.user(statement, &mut list, &mut of_users),
                _ => {}
            }
        }
        for member in of_users.iter().chain(&of_groups) {
            let known = groups.contains(&member.group.as_str());
            let user = list.users.iter_mut().find(|user| *user.name == *member.user);
            match user {
                Some(user) if known => {
                    if !user.groups.iter().any(|group| **group == *member.group) {
                        user.groups.push(member.group.as_str().into());
                    }
                }
                Some(_) => {
                    let message = format!(
                        "userlist '{}': no such group '{}' specified in user '{}'",
                        list.name, member.group, member.user
                    );
                    let near = crate::config::similar::nearest(&member.group, groups.clone());
                    self.suggest(member.span, message, near);
                }
                None => {
                    let message = format!(
                        "userlist '{}': no such user '{}' specified in group '{}'",
                        list.name, member.user, member.group
                    );
                    let names = list.users.iter().map(|user| &*user.name);
                    let near = crate::config::similar::nearest(&member.user, names);
                    self.suggest(member.span, message, near);
                }
            }
        }
        if self.site.userlists.iter().any(|known| known.name == list.name) {
            let message = format!("ignoring duplicated userlist '{}'", list.name);
            self.diagnostics.warning(section.span, message);
        } else {
            self.site.userlists.push(list);
        }
    }

    /// `group <name> [users <user>,…]`.
    fn group<'s>(
        &mut self,
        statement: &'s Statement,
        section: &Section,
        groups: &mut Vec<&'s str>,
        members: &mut Vec<Member>,
    ) {
        let mut args = Args::new(statement, 1, "group", &mut self.diagnostics);
        let Some(name) = args.need("the name of a group") else { return };
        if groups.contains(&name.as_str()) {
            let message = format!(
                "ignoring duplicated group '{}' in userlist '{}'",
                name.as_str(),
                section.name()
            );
            self.diagnostics.warning(name.span, message);
            return;
        }
        groups.push(name.as_str());
        while args.peek().is_some() {
            if args.choice(&[("users", ())]).is_none() {
                return;
            }
            let Some(users) = args.next() else { return };
            let member = |user: &str| Member {
                user: user.into(),
                group: name.as_str().into(),
                span: users.span,
            };
            members.extend(names(users).map(member));
        }
    }

    /// `user <name> [password|insecure-password <password>] [groups <group>,…]`.
    fn user(&mut self, statement: &Statement, list: &mut Userlist, members: &mut Vec<Member>) {
        #[derive(Clone, Copy)]
        enum Option {
            Password,
            Insecure,
            Groups,
        }
        let mut args = Args::new(statement, 1, "user", &mut self.diagnostics);
        let Some(name) = args.need("the name of a user") else { return };
        if list.users.iter().any(|user| *user.name == *name.as_str()) {
            let message =
                format!("ignoring duplicated user '{}' in userlist '{}'", name.as_str(), list.name);
            self.diagnostics.warning(name.span, message);
            return;
        }
        let name: Arc<str> = name.as_str().into();
        let mut user = User { name, password: Password::None, groups: Vec::new() };
        let mut odd = None;
        while args.peek().is_some() {
            let options = [
                ("password", Option::Password),
                ("insecure-password", Option::Insecure),
                ("groups", Option::Groups),
            ];
            let Some(option) = args.choice(&options) else { return };
            match option {
                Option::Password => {
                    let Some(hash) = args.need("the hash of a password") else { return };
                    if !Password::is_known(hash.as_str()) {
                        odd = Some(hash.span);
                    }
                    user.password = Password::Hash(hash.as_str().into());
                }
                Option::Insecure => {
                    let text = args.next().map_or("", Word::as_str);
                    user.password = Password::Plain(text.into());
                }
                Option::Groups => {
                    let Some(groups) = args.next() else { break };
                    let member = |group: &str| Member {
                        user: (*user.name).into(),
                        group: group.into(),
                        span: groups.span,
                    };
                    members.extend(names(groups).map(member));
                }
            }
        }
        if let Some(span) = odd {
            let message = format!(
                "the password of user '{}' is no hash of a known form: no password will fit it",
                user.name
            );
            let warning = self.diagnostics.warning(span, message);
            warning
                .help
                .push("make one with 'mkpasswd -m sha-512', or use insecure-password".into());
        }
        list.users.push(user);
    }
}

/// The names between commas.
fn names(list: &Word) -> impl Iterator<Item = &str> {
    list.as_str().split(',').filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use crate::build::{CliOverrides, build};
    use crate::config::{MapHost, Source};
    use crate::sample::Target;

    #[test]
    fn groups_and_users_name_each_other() {
        let text = "
            userlist l
                group g users a,b
                group h users b
                user a insecure-password x groups h,g
                user b insecure-password y
                user c
";
        let sources = [Source::new("t.cfg", text.to_owned())];
        let (site, warnings) =
            build(&sources, &CliOverrides::default(), &MapHost::default()).expect("a site");
        assert!(warnings.is_empty(), "{warnings:?}");
        let list = &site.userlists[0];
        let groups = |name: &str, password: &str| {
            let user = list.check(name.as_bytes(), password.as_bytes())?;
            let mut groups: Vec<&str> = user.groups.iter().map(|group| &**group).collect();
            groups.sort_unstable();
            Some(groups.join(" "))
        };
        assert_eq!(groups("a", "x").as_deref(), Some("g h"));
        assert_eq!(groups("b", "y").as_deref(), Some("g h"));
        assert_eq!(groups("c", ""), None);
    }

    #[test]
    fn an_expression_finds_its_list() {
        let rule = "defaults\ntimeout client 1s\nfrontend f\nbind :1\nmode http\n\
                    http-request deny if { http_auth(l) }\n";
        let build_with = |lists: &str| {
            let sources = [Source::new("t.cfg", format!("{rule}{lists}"))];
            build(&sources, &CliOverrides::default(), &MapHost::default())
        };
        let (site, _) = build_with("userlist k\nuserlist l\n").expect("a site");
        assert_eq!(site.refs.targets, [Target::Userlist(1)]);
        let errors = build_with("userlist k\n").unwrap_err();
        assert!(errors[0].message.contains("unable to find the userlist 'l'"), "{errors:?}");
    }
}
