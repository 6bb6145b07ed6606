//! JSON Web Keys (RFC 7517, 7518 and 8037).

use super::material::{Bytes, Material, Named, private_parts};
use crate::names;
use crate::public::{self, ALGORITHMS};
use base64ct::{Base64UrlUnpadded, Encoding};
use coffer_pkcs11::crypto::encoding::{Algorithm, Der, private_key_info, public_key_info, tag};
use pkcs11_client::Value as AttrValue;
use pkcs11_client::cryptoki_sys::*;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

/// `crv`, the curve's name here, and the bytes of a coordinate.
const CURVES: &[(&str, &str, usize)] = &[
    ("P-256", "secp256r1", 32),
    ("P-384", "secp384r1", 48),
    ("P-521", "secp521r1", 66),
    ("secp256k1", "secp256k1", 32),
];

/// The key in a JWK, or the keys of a set (RFC 7517, section 5), each with its `kid`.
///
/// # Errors
/// A sentence that names the member.
pub fn read(text: &[u8]) -> Result<Vec<Named>, String> {
    let jwk: Value = serde_json::from_slice(text).map_err(|error| format!("the JWK: {error}"))?;
    let one = |jwk: &Value| Ok(key(jwk)?.named(jwk["kid"].as_str()));
    match jwk.get("keys") {
        Some(Value::Array(keys)) => keys.iter().map(one).collect(),
        Some(_) => Err("the JWK set's \"keys\" is no array".into()),
        None => Ok(vec![one(&jwk)?]),
    }
}

fn key(jwk: &Value) -> Result<Material, String> {
    let word = |name: &str| jwk[name].as_str().ok_or_else(|| format!("the JWK has no {name:?}"));
    let bytes = |name: &str| -> Result<Bytes, String> {
        let bytes = Base64UrlUnpadded::decode_vec(word(name)?)
            .map_err(|_| format!("the JWK's {name:?} is not base64url"))?;
        Ok(Zeroizing::new(bytes))
    };
    let private = jwk.get("d").is_some();
    match word("kty")? {
        "oct" => Ok(Material::Secret(bytes("k")?)),
        "RSA" => {
            let null = Der::Bytes(tag::NULL, &[]).encode_public();
            let algorithm = Algorithm { oid: ALGORITHMS[0].0, parameters: &null };
            let names: &[&str] =
                if private { &["n", "e", "d", "p", "q", "dp", "dq", "qi"] } else { &["n", "e"] };
            let numbers = names.iter().map(|name| bytes(name)).collect::<Result<Vec<_>, _>>()?;
            let mut fields: Vec<_> = numbers.iter().map(|number| Der::Unsigned(number)).collect();
            if !private {
                let key = Der::Node(tag::SEQUENCE, &fields);
                return Ok(Material::Public(public_key_info(algorithm, Der::BitsOf(&key))));
            }
            fields.insert(0, Der::Unsigned(&[]));
            Ok(private_material(algorithm, Der::Node(tag::SEQUENCE, &fields)))
        }
        "EC" => {
            let name = word("crv")?;
            let known = CURVES.iter().find(|(crv, ..)| *crv == name);
            let &(_, curve, len) =
                known.ok_or_else(|| format!("the JWK's curve {name:?} is not supported"))?;
            let algorithm =
                Algorithm { oid: ALGORITHMS[1].0, parameters: names::number(names::CURVES, curve)? };
            let point = [&[4][..], &bytes("x")?, &bytes("y")?].concat();
            if point.len() != 1 + 2 * len {
                return Err(format!("the JWK's x and y have not {len} bytes each"));
            }
            if !private {
                return Ok(Material::Public(public_key_info(algorithm, Der::Bits(&point))));
            }
            let value = bytes("d")?;
            let fields = [
                Der::Unsigned(&[1]),
                Der::Bytes(tag::OCTET_STRING, &value),
                Der::Node(tag::constructed(1), &[Der::Bits(&point)]),
            ];
            Ok(private_material(algorithm, Der::Node(tag::SEQUENCE, &fields)))
        }
        "OKP" => {
            let oid = match word("crv")? {
                "Ed25519" => ALGORITHMS[2].0,
                "X25519" => ALGORITHMS[3].0,
                name => return Err(format!("the JWK's curve {name:?} is not supported")),
            };
            match private {
                false => Ok(Material::Public(public_key_info(Algorithm::new(oid), Der::Bits(&bytes("x")?)))),
                true => {
                    Ok(private_material(Algorithm::new(oid), Der::Bytes(tag::OCTET_STRING, &bytes("d")?)))
                }
            }
        }
        kty => Err(format!("the JWK's kty {kty:?} is none of oct, RSA, EC, OKP")),
    }
}

fn private_material(algorithm: Algorithm<'_>, key: Der<'_>) -> Material {
    Material::Private(Zeroizing::new(private_key_info(algorithm, key).expose().to_vec()))
}

/// A key as a JWK.
///
/// # Errors
/// A sentence: the key's type has no JWK.
pub fn write(material: &Material, label: &str) -> Result<Zeroizing<String>, String> {
    let mut jwk = Map::new();
    match material {
        Material::Secret(value) => {
            jwk.insert("kty".into(), json!("oct"));
            jwk.insert("k".into(), json!(Base64UrlUnpadded::encode_string(value)));
        }
        Material::Public(info) => write_public(&mut jwk, info)?,
        Material::Private(pkcs8) => {
            let (key_type, parts) = private_parts(pkcs8)?;
            let info = parts
                .bytes(CKA_PUBLIC_KEY_INFO)
                .ok_or("the public key does not follow from the private one")?;
            write_public(&mut jwk, info)?;
            let members: &[(&str, CK_ATTRIBUTE_TYPE)] = match key_type {
                CKK_RSA => &[
                    ("d", CKA_PRIVATE_EXPONENT),
                    ("p", CKA_PRIME_1),
                    ("q", CKA_PRIME_2),
                    ("dp", CKA_EXPONENT_1),
                    ("dq", CKA_EXPONENT_2),
                    ("qi", CKA_COEFFICIENT),
                ],
                _ => &[("d", CKA_VALUE)],
            };
            for (name, attribute) in members {
                let value = parts.value(*attribute).and_then(|value| value.as_bytes());
                let value = value.ok_or_else(|| format!("the key has no {name:?}"))?;
                // The value of a curve's key is as long as its order.
                let len = jwk.get("x").and_then(Value::as_str).map_or(value.len(), |x| 3 * x.len() / 4);
                let padded = Zeroizing::new([&vec![0; len.saturating_sub(value.len())], value].concat());
                jwk.insert((*name).into(), json!(Base64UrlUnpadded::encode_string(&padded)));
            }
        }
        Material::Certificate(_) => return Err("a certificate is no JWK".into()),
    }
    if !label.is_empty() {
        jwk.insert("kid".into(), json!(label));
    }
    Ok(Zeroizing::new(format!("{:#}\n", Value::Object(jwk))))
}

fn write_public(jwk: &mut Map<String, Value>, info: &[u8]) -> Result<(), String> {
    let (key_type, attributes) = public::attributes(info)?;
    let part = |wanted: CK_ATTRIBUTE_TYPE| {
        attributes.iter().find(|attr| attr.kind == wanted).and_then(|attr| match &attr.value {
            AttrValue::Bytes(bytes) => Some(&bytes[..]),
            _ => None,
        })
    };
    let mut put =
        |name: &str, value: &[u8]| jwk.insert(name.into(), json!(Base64UrlUnpadded::encode_string(value)));
    let curve = part(CKA_EC_PARAMS).and_then(|params| names::CURVES.iter().find(|(_, der)| *der == params));
    match (key_type, part(CKA_EC_POINT).map(crate::describe::bare), curve) {
        (CKK_RSA, ..) => {
            put("n", part(CKA_MODULUS).unwrap_or_default());
            put("e", part(CKA_PUBLIC_EXPONENT).unwrap_or_default());
            jwk.insert("kty".into(), json!("RSA"));
        }
        (CKK_EC, Some([4, point @ ..]), Some((curve, _))) => {
            let known = CURVES.iter().find(|(_, name, _)| name == curve);
            let (crv, _, len) = known.ok_or_else(|| format!("JWK has no curve {curve}"))?;
            put("x", &point[..*len]);
            put("y", &point[*len..]);
            jwk.insert("crv".into(), json!(crv));
            jwk.insert("kty".into(), json!("EC"));
        }
        (CKK_EC_EDWARDS | CKK_EC_MONTGOMERY, Some(point), _) => {
            put("x", point);
            jwk.insert("crv".into(), json!(if key_type == CKK_EC_EDWARDS { "Ed25519" } else { "X25519" }));
            jwk.insert("kty".into(), json!("OKP"));
        }
        _ => return Err("keys of this type have no JWK form here".into()),
    }
    Ok(())
}
