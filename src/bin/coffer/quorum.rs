//! `coffer quorum ...`, `coffer user change-quorum ...`, and `--approval` of other commands: approvals by several users,
//! in the files of CloudHSM's CLI.

use crate::connection::{Connection, Role};
use crate::context::Context;
use crate::key::Selection;
use crate::output::{Outcome, Report, table};
use crate::{describe, files, select};
use base64ct::{Base64, Encoding};
use clap::{Args, Subcommand, ValueEnum};
use coffer_pkcs11::crypto::{Hash, digest};
use coffer_pkcs11::mechanism::vendor::*;
use pkcs11_client::Rv;
use pkcs11_client::cryptoki_sys::*;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub enum Command {
    /// Approvals by signed tokens.
    #[command(subcommand)]
    TokenSign(TokenSign),
}

#[derive(Subcommand)]
pub enum TokenSign {
    /// Ask for approval: write a file for others to sign.
    Generate {
        /// What is to be approved.
        #[arg(long, value_enum)]
        service: Service,
        /// The file. This is CloudHSM's name for it; the token is chosen by --cluster-id here.
        #[arg(long, value_name = "FILE")]
        token: String,
        /// The token, by its label, serial number or slot.
        #[arg(long, env = "COFFER_TOKEN", value_name = "NAME", help_heading = "Token")]
        cluster_id: Option<String>,
        /// The key, of the services of keys.
        #[command(flatten)]
        selection: Selection,
    },
    /// What waits for approval.
    List,
    /// Forget what waits for approval.
    Delete {
        /// Whose.
        #[arg(long, value_enum, default_value = "user")]
        scope: Scope,
    },
    /// How many approvals the admins' services take.
    ListQuorumValues,
    /// Change how many approvals a service of the admins takes.
    SetQuorumValue {
        /// user or quorum.
        #[arg(long, value_enum)]
        service: Service,
        /// 1 (none) to 8.
        #[arg(long)]
        value: CK_ULONG,
        #[command(flatten)]
        approval: Approval,
    },
    /// How long a request waits, in seconds.
    ListTimeouts,
    /// Change how long a request waits.
    #[command(disable_help_subcommand = true)]
    SetTimeout {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        _arguments: Vec<String>,
    },
}

impl Command {
    /// The token that the command names, if its own `--token` hides the general one's.
    pub fn cluster_id(&mut self) -> Option<Option<String>> {
        match self {
            Command::TokenSign(TokenSign::Generate { cluster_id, .. }) => Some(cluster_id.take()),
            Command::TokenSign(_) => None,
        }
    }
}

/// Seconds.
const LIFETIME: u64 = coffer_pkcs11::storage::quorum::LIFETIME;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Service {
    /// Registering a public key: signed with its private key.
    Registration,
    /// The admins' user create, delete, change-password and unlock.
    User,
    /// The admins' quorum token-sign set-quorum-value.
    Quorum,
    /// What clusters have and tokens have not.
    Cluster,
    /// Wrapping, unwrapping with, sharing and changing one key.
    KeyManagement,
    /// Any other use of one key.
    KeyUsage,
}

const SERVICES: &[(Service, CK_ULONG)] = &[
    (Service::Registration, CK_COFFER_SERVICE_REGISTRATION),
    (Service::User, CK_COFFER_SERVICE_USER),
    (Service::Quorum, CK_COFFER_SERVICE_QUORUM),
    (Service::KeyManagement, CK_COFFER_SERVICE_KEY_MANAGEMENT),
    (Service::KeyUsage, CK_COFFER_SERVICE_KEY_USAGE),
];

impl Service {
    fn number(self) -> Result<CK_ULONG, String> {
        let found = SERVICES.iter().find(|(service, _)| *service == self);
        found
            .map(|(_, number)| *number)
            .ok_or_else(|| "a token has no settings of a cluster that others could approve".into())
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scope {
    /// One's own.
    User,
    /// All, by the admin.
    All,
}

#[derive(Subcommand)]
pub enum ChangeQuorum {
    /// By signed tokens.
    #[command(subcommand)]
    TokenSign(ChangeTokenSign),
}

#[derive(Subcommand)]
pub enum ChangeTokenSign {
    /// Register the public key of whoever is logged in, whose private key then approves.
    Register {
        /// A PEM file with an RSA public key of at least 2048 bits.
        #[arg(long, value_name = "FILE")]
        public_key: PathBuf,
        /// The file of `quorum token-sign generate --service registration`, signed.
        #[arg(long, value_name = "FILE")]
        signed_token: PathBuf,
    },
}

/// `--approval`.
#[derive(Args, Clone, Default)]
pub struct Approval {
    /// The file of `quorum token-sign generate`, signed by enough users, where that is needed.
    #[arg(long, value_name = "FILE")]
    approval: Option<PathBuf>,
}

impl Approval {
    /// Shows the token the approvals in the file.
    ///
    /// # Errors
    /// A sentence.
    pub fn show(&self, connection: &Connection) -> Result<(), String> {
        self.approval.as_deref().map_or(Ok(()), |path| show(connection, path))
    }
}

/// The same of another option.
pub fn show_file(connection: &Connection, path: Option<&Path>) -> Result<(), String> {
    path.map_or(Ok(()), |path| show(connection, path))
}

/// What is said where approvals are missing.
pub const WANTED: &str = "Quorum approval is required for this operation: `quorum token-sign generate` asks for it, \
                          others sign the file, and --approval shows it";

/// The reason of a refusal, if it is the approvals that are missing.
pub fn wanted(rv: Rv) -> Option<String> {
    (rv == CKR_FUNCTION_REJECTED).then(|| format!("{WANTED} ({rv})"))
}

fn refused(rv: Rv) -> String {
    match rv.0 {
        _ if rv == Rv::ABSENT => "this module knows no approvals".into(),
        CKR_USER_NOT_LOGGED_IN => format!("that is another role's to do ({rv})"),
        CKR_FUNCTION_REJECTED => format!("{WANTED} ({rv})"),
        _ => format!("approvals: {rv}"),
    }
}

pub fn run(context: &mut Context, Command::TokenSign(command): Command) -> Outcome {
    match command {
        TokenSign::Generate { service, token, selection, .. } => {
            generate(context, service, Path::new(&token), &selection)
        }
        TokenSign::List => list(context),
        TokenSign::Delete { scope } => {
            let session = &context.connect()?.session;
            session.delete_approvals(scope == Scope::All).map_err(refused)?;
            Ok(Report::sentence("Quorum token(s) deleted successfully"))
        }
        TokenSign::ListQuorumValues => {
            let session = &context.public()?.session;
            let value = |service| session.quorum_value(service).map_err(refused);
            Ok(Report::of(json!({
                "user": value(CK_COFFER_SERVICE_USER)?, "quorum": value(CK_COFFER_SERVICE_QUORUM)?,
            })))
        }
        TokenSign::SetQuorumValue { service, value, approval } => {
            let number = service.number()?;
            let connection = context.connect()?;
            approval.show(connection)?;
            connection.session.set_quorum_value(number, value).map_err(|rv| match rv.0 {
                CKR_ARGUMENTS_BAD => {
                    format!("the services user and quorum take 1 to 8 approvals ({rv})")
                }
                CKR_ACTION_PROHIBITED => format!(
                    "fewer than {value} admins have registered a key to approve with: \
                     `user change-quorum token-sign register` ({rv})"
                ),
                _ => refused(rv),
            })?;
            Ok(Report::sentence("Set quorum value successful"))
        }
        TokenSign::ListTimeouts => Ok(Report::of(json!({ "generated": LIFETIME, "approved": LIFETIME }))),
        TokenSign::SetTimeout { .. } => Err(format!("a request waits {LIFETIME} seconds, always")),
    }
}

fn generate(context: &mut Context, service: Service, path: &Path, selection: &Selection) -> Outcome {
    let number = service.number()?;
    let filter = selection.parse()?;
    let of_keys = matches!(service, Service::KeyManagement | Service::KeyUsage);
    if !of_keys && !filter.is_empty() {
        return Err(format!("the service {} is about no key", service.name()));
    }
    let connection = context.connect()?;
    let key = if of_keys { select::one(connection, &filter, "key")? } else { CK_INVALID_HANDLE };
    let asked = connection.session.request_approval(number, key).map_err(refused)?;
    let (data, hash) = (Base64::encode_string(&asked), digest::digest(Hash::Sha256, &asked));
    let hash = Base64::encode_string(&hash);
    let mut file = match service {
        Service::Registration => json!({
            "version": "2.0", "tokens": [{ "approval_data": data, "unsigned": hash, "signed": "" }],
        }),
        _ => json!({ "version": "2.0", "service": service.name(), "approval_data": data, "token": hash }),
    };
    if of_keys {
        file["key_reference"] = json!(select::reference(connection, key));
        file["label"] = json!(describe::label(connection, key));
    }
    if service != Service::Registration {
        file["signatures"] = json!([]);
    }
    files::write(path, format!("{file:#}\n").as_bytes())?;
    Ok(Report::of(json!({ "path": path.display().to_string() })))
}

fn list(context: &mut Context) -> Outcome {
    let approvals = context.connect()?.session.approvals().map_err(refused)?;
    let (mut rows, mut tokens) = (Vec::new(), Vec::new());
    for waiting in approvals {
        let found = SERVICES.iter().find(|(_, number)| *number == waiting.service);
        let service = found.map_or_else(|| waiting.service.to_string(), |(service, _)| service.name());
        let name = match waiting.user.name() {
            name if name.is_empty() => "user".into(),
            name => name,
        };
        rows.push(vec![
            name.clone(),
            service.clone(),
            waiting.required.to_string(),
            waiting.given.to_string(),
            waiting.seconds.to_string(),
        ]);
        tokens.push(json!({
            "username": name, "service": service, "approvals-required": waiting.required,
            "number-of-approvals": waiting.given, "token-timeout-seconds": waiting.seconds,
            "cluster-coverage": "full",
        }));
    }
    let text = table(&["USER", "SERVICE", "REQUIRED", "GIVEN", "SECONDS"], &rows);
    Ok(Report { text, json: json!({ "tokens": tokens }) })
}

/// A file of approvals, and its name for messages.
struct Signed<'a> {
    path: &'a Path,
    json: Value,
}

impl Signed<'_> {
    fn read(path: &Path) -> Result<Signed<'_>, String> {
        let json = serde_json::from_slice(&files::read(path)?);
        let json = json.map_err(|_| format!("{}: not the JSON of `token-sign generate`", path.display()))?;
        Ok(Signed { path, json })
    }

    fn wrong(&self, what: &str) -> String {
        format!("{}: {what}", self.path.display())
    }

    /// Base64 in a field.
    fn bytes(&self, value: &Value, what: &str) -> Result<Vec<u8>, String> {
        let text: String = value.as_str().unwrap_or_default().split_whitespace().collect();
        match Base64::decode_vec(&text) {
            Ok(bytes) if !bytes.is_empty() => Ok(bytes),
            _ => Err(self.wrong(&format!("{what} is missing or not base64"))),
        }
    }
}

fn show(connection: &Connection, path: &Path) -> Result<(), String> {
    let file = Signed::read(path)?;
    let asked = file.bytes(&file.json["approval_data"], "approval_data")?;
    let signatures = file.json["signatures"].as_array().filter(|all| !all.is_empty());
    let signatures = signatures.ok_or_else(|| {
        file.wrong("nobody has signed it: \"signatures\" wants { \"username\", \"role\", \"signature\" }")
    })?;
    for signature in signatures {
        let name = signature["username"].as_str().ok_or_else(|| file.wrong("a signature has no username"))?;
        let role = match signature["role"].as_str() {
            Some("admin") => Role::Admin,
            Some("crypto-user") => Role::CryptoUser,
            _ => return Err(file.wrong("a signature's role is not admin or crypto-user")),
        };
        let bytes = file.bytes(&signature["signature"], &format!("the signature of {name}"))?;
        let bare = crate::user::bare(role, name);
        let added = connection.session.add_approval(&asked, role.kind(), bare, &bytes);
        added.map_err(|rv| {
            file.wrong(&match rv.0 {
                CKR_ARGUMENTS_BAD => format!(
                    "no such request waits for this user's approvals, or there is no {name}: requests end after \
                     {} minutes, and with the operation ({rv})",
                    LIFETIME / 60
                ),
                CKR_ACTION_PROHIBITED => format!(
                    "{name} has no say in this, or has registered no key: \
                     `user change-quorum token-sign register` ({rv})"
                ),
                CKR_SIGNATURE_INVALID => {
                    format!("the signature of {name} is not one of this file with the registered key ({rv})")
                }
                _ => refused(rv),
            })
        })?;
    }
    Ok(())
}

pub fn change(context: &mut Context, ChangeQuorum::TokenSign(command): ChangeQuorum) -> Outcome {
    let ChangeTokenSign::Register { public_key, signed_token } = command;
    let blocks = files::pem(&files::read(&public_key)?)?;
    let key = match &blocks[..] {
        [block] if block.label == "PUBLIC KEY" => &block.der,
        _ => return Err(format!("{}: not a PEM file with one PUBLIC KEY", public_key.display())),
    };
    let file = Signed::read(&signed_token)?;
    let signature = file.bytes(&file.json["tokens"][0]["signed"], "\"signed\"")?;
    let connection = context.connect()?;
    connection.session.register_approver(key, &signature).map_err(|rv| match rv.0 {
        CKR_ARGUMENTS_BAD => format!(
            "an RSA key of at least 2048 bits is wanted, and a request of the last {} minutes: \
             `quorum token-sign generate --service registration` ({rv})",
            LIFETIME / 60
        ),
        CKR_SIGNATURE_INVALID => {
            file.wrong(&format!("\"signed\" is no signature of \"unsigned\" with that key ({rv})"))
        }
        _ => refused(rv),
    })?;
    let role = connection.user.as_ref().map_or(Role::CryptoUser, |(_, role)| *role);
    Ok(Report::of(json!({ "username": connection.username(), "role": role.name() })))
}
