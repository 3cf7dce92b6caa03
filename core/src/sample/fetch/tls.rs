//! TLS, which no connection has: whether there is some is a plain no, and what it would say of
//! itself is never there. Conditions that ask (`if !{ ssl_fc }`) mean the same with and without it.

use super::{Avail, Kind, Sample, Spec, Value, row};

/// A compiled fetch of this family.
#[derive(Clone, Copy, Debug)]
pub enum Fetch {
    /// Whether there is some.
    Is,
    /// What it says.
    Of,
}

impl Fetch {
    pub(super) fn get(self) -> Sample<'static> {
        match self {
            Fetch::Is => Sample::is(Value::Bool(false)),
            Fetch::Of => Sample::NONE,
        }
    }
}

macro_rules! tls_table {
    ($($kind:ident $avail:ident $fetch:ident: $($name:literal)*;)*) => {
        &[$($(
            row($name, Kind::$kind, Avail::$avail, (0, 3), |_, _| {
                Ok(super::Fetch::Tls(Fetch::$fetch))
            }),
        )*)*]
    };
}

pub(super) const TABLE: &[Spec] = tls_table! {
    Bool Server Is:
        "ssl_bc" "ssl_bc_is_resumed";
    Bool Handshake Is:
        "ssl_fc" "ssl_fc_has_sni" "ssl_fc_is_resumed";
    Int Server Of:
        "ssl_bc_alg_keysize" "ssl_bc_err" "ssl_bc_use_keysize";
    Str Server Of:
        "ssl_bc_alpn" "ssl_bc_cipher" "ssl_bc_err_str" "ssl_bc_npn" "ssl_bc_protocol";
    Bin Server Of:
        "ssl_bc_client_random" "ssl_bc_server_random" "ssl_bc_session_id"
        "ssl_bc_session_key" "ssl_bc_unique_id";
    Int Handshake Of:
        "ssl_c_ca_err" "ssl_c_ca_err_depth" "ssl_c_err" "ssl_c_verify" "ssl_c_version"
        "ssl_f_version" "ssl_fc_alg_keysize" "ssl_fc_cipherlist_xxh" "ssl_fc_err"
        "ssl_fc_protocol_hello_id" "ssl_fc_use_keysize" "ssl_s_version";
    Bin Handshake Of:
        "ssl_c_chain_der" "ssl_c_der" "ssl_c_serial" "ssl_c_sha1" "ssl_f_der" "ssl_f_serial"
        "ssl_f_sha1" "ssl_fc_cipherlist_hex" "ssl_fc_client_random" "ssl_fc_server_random"
        "ssl_fc_session_id" "ssl_fc_session_key" "ssl_fc_unique_id" "ssl_s_chain_der"
        "ssl_s_der" "ssl_s_serial" "ssl_s_sha1";
    Str Handshake Of:
        "ssl_c_i_dn" "ssl_c_key_alg" "ssl_c_notafter" "ssl_c_notbefore" "ssl_c_s_dn"
        "ssl_c_sig_alg" "ssl_f_i_dn" "ssl_f_key_alg" "ssl_f_notafter" "ssl_f_notbefore"
        "ssl_f_s_dn" "ssl_f_sig_alg" "ssl_fc_alpn" "ssl_fc_cipher" "ssl_fc_cipherlist_bin"
        "ssl_fc_cipherlist_str" "ssl_fc_client_early_traffic_secret"
        "ssl_fc_client_handshake_traffic_secret" "ssl_fc_client_traffic_secret_0"
        "ssl_fc_early_exporter_secret" "ssl_fc_ecformats_bin" "ssl_fc_eclist_bin"
        "ssl_fc_err_str" "ssl_fc_exporter_secret" "ssl_fc_extlist_bin" "ssl_fc_npn"
        "ssl_fc_protocol" "ssl_fc_server_handshake_traffic_secret"
        "ssl_fc_server_traffic_secret_0" "ssl_fc_sni" "ssl_s_i_dn" "ssl_s_key_alg"
        "ssl_s_notafter" "ssl_s_notbefore" "ssl_s_s_dn" "ssl_s_sig_alg";
    Bool Handshake Of:
        "ssl_c_used" "ssl_fc_has_crt" "ssl_fc_has_early";
};
