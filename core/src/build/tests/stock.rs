//! The file that Debian's package installs says these things.

use super::*;

const STATUSES: [u16; 7] = [400, 403, 408, 500, 502, 503, 504];

#[test]
fn debians_file_builds() {
    let mut text = String::from(
        "global\n\
         \tlog /dev/log\tlocal0\n\
         \tlog /dev/log\tlocal1 notice\n\
         \tchroot /var/lib/haproxy\n\
         \tstats socket /run/haproxy/admin.sock mode 660 level admin\n\
         \tstats timeout 30s\n\
         \tuser haproxy\n\
         \tgroup haproxy\n\
         \tdaemon\n\n\
         \t# TLS\n\
         \tca-base /etc/ssl/certs\n\
         \tcrt-base /etc/ssl/private\n\
         \tssl-default-bind-ciphers A:B\n\
         \tssl-default-bind-ciphersuites C:D\n\
         \tssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets\n\n\
         defaults\n\
         \tlog\tglobal\n\
         \tmode\thttp\n\
         \toption\thttplog\n\
         \toption\tdontlognull\n\
         \x20       timeout connect 5000\n\
         \x20       timeout client  50000\n\
         \x20       timeout server  50000\n",
    );
    let mut host = host();
    for status in STATUSES {
        let path = format!("/etc/haproxy/errors/{status}.http");
        text += &format!("\terrorfile {status} {path}\n");
        host =
            host.with_file(&path, format!("HTTP/1.0 {status} x\r\nConnection: close\r\n\r\ny\n"));
    }
    text += "listen l\n\tbind :80\n";
    let sources = [Source::new("haproxy.cfg", text)];
    let (site, warnings) = build(&sources, &CliOverrides::default(), &host).unwrap();
    insta::assert_snapshot!(told(&warnings).join("\n"));
    assert_eq!(site.global.chroot.as_deref(), Some("/var/lib/haproxy"));
    assert_eq!((site.global.uid, site.global.gid), (Some(101), Some(102)));
    let proxy = site.proxy(0);
    assert_eq!(proxy.log_format, LogFormat::Http);
    assert_eq!(proxy.timeouts.connect, Some(Duration::from_secs(5)));
    assert_eq!(proxy.timeouts.client, Some(Duration::from_secs(50)));
    assert_eq!(proxy.error_files.iter().map(|(status, _)| *status).collect::<Vec<_>>(), STATUSES);
    assert_eq!(site.sinks, [Sink::Datagram(Address::Unix("/dev/log".into()))]);
    assert_eq!((proxy.logs[0].facility, proxy.logs[0].level), (16, 7));
    assert_eq!((proxy.logs[1].facility, proxy.logs[1].level), (17, 5));
}
