//! `coffer crypto sign|verify`, against OpenSSL where it knows the scheme.

use super::*;

/// The base64 of `data`, which the command line takes.
const DATA: &str = "c29tZSBkYXRhIHRvIHNpZ24=";
const PLAIN: &[u8] = b"some data to sign";

/// Signs, verifies, and is refused for other data and another signature.
fn there_and_back(place: &Place, key: &str, public: &str, scheme: &[&str], data: &str) -> String {
    let (key, public) = (format!("attr.label={key}"), format!("attr.label={public}"));
    let signed = place.done(&[&["crypto", "sign"], scheme, &["--key-filter", &key, "--data", data]].concat());
    assert!(signed["key-reference"].as_str().is_some_and(|reference| reference.starts_with("0x")));
    let signature = signed["signature"].as_str().expect("base64").to_owned();
    let verify = |data: &str, signature: &str| {
        place.json(
            &[
                &["crypto", "verify"],
                scheme,
                &["--key-filter", &public, "--data", data, "--signature", signature],
            ]
            .concat(),
        )
    };
    let (code, said) = verify(data, &signature);
    assert_eq!(
        (code, &said["data"]["message"]),
        (0, &json!("Signature verified successfully")),
        "{scheme:?}: {said}"
    );
    let mut other = data.to_owned().into_bytes();
    other[2] = if other[2] == b'A' { b'B' } else { b'A' };
    refused(
        verify(std::str::from_utf8(&other).expect("ASCII"), &signature),
        &["Signature verification failed"],
    );
    refused(verify(data, DATA), &["Signature verification failed"]);
    signature
}

#[test]
fn every_scheme_there_and_back() {
    let place = Place::with_token("one");
    let pair = |kind: &[&str], name: &str| {
        let (public, private) = (format!("{name}-public"), name.to_owned());
        place.done(
            &[
                &["key", "generate-asymmetric-pair"],
                kind,
                &["--public-label", &public, "--private-label", &private],
            ]
            .concat(),
        );
    };
    pair(&["rsa"], "rsa");
    pair(&["ec", "--curve", "secp384r1"], "ec");
    pair(&["ed25519"], "ed");
    pair(&["ml-dsa"], "ml");
    place.done(&[
        "key",
        "generate-symmetric",
        "generic-secret",
        "--key-length-bytes",
        "32",
        "--label",
        "mac",
    ]);
    for hash in ["sha1", "sha224", "sha256", "sha384", "SHA512"] {
        for scheme in ["rsa-pkcs", "rsa-pkcs-pss"] {
            there_and_back(&place, "rsa", "rsa-public", &[scheme, "--hash-function", hash], DATA);
        }
        there_and_back(&place, "ec", "ec-public", &["ecdsa", "--hash-function", hash], DATA);
        there_and_back(&place, "mac", "mac", &["hmac", "--hash-function", hash], DATA);
    }
    let salted = ["rsa-pkcs-pss", "--hash-function", "sha256", "--mgf", "mgf1-sha1", "--salt-length", "20"];
    there_and_back(&place, "rsa", "rsa-public", &salted, DATA);
    for scheme in ["ed25519", "ed25519ph"] {
        there_and_back(&place, "ed", "ed-public", &[scheme], DATA);
    }
    there_and_back(&place, "ml", "ml-public", &["ml-dsa"], DATA);
    // Sixty-four bytes of mu, and digests, stand for the data.
    let mu = format!("{}==", "A".repeat(86));
    there_and_back(&place, "ml", "ml-public", &["ml-dsa", "--data-type", "external-mu"], &mu);
    let digest = format!("{}=", "A".repeat(43));
    for (scheme, key) in [("rsa-pkcs", "rsa"), ("rsa-pkcs-pss", "rsa"), ("ecdsa", "ec")] {
        let public = format!("{key}-public");
        there_and_back(
            &place,
            key,
            &public,
            &[scheme, "--hash-function", "sha256", "--data-type", "digest"],
            &digest,
        );
    }
}

/// Runs OpenSSL in the place; whether it is content.
fn openssl(place: &Place, arguments: &[&str]) -> bool {
    let output = Command::new("openssl").current_dir(place.path()).args(arguments).output();
    output.expect("openssl runs").status.success()
}

/// What the token signs, from data or from its digest, OpenSSL verifies with the public key from the token.
#[test]
fn openssl_verifies() {
    let place = Place::with_token("one");
    place.done(&[
        "key",
        "generate-asymmetric-pair",
        "rsa",
        "--public-label",
        "public",
        "--private-label",
        "private",
    ]);
    let (pem, signature, data) = (place.file("pem"), place.file("signature"), place.file("data"));
    fs::write(&data, PLAIN).expect("a file");
    place.done(&[
        "key",
        "generate-file",
        "--encoding",
        "pem",
        "--path",
        &pem,
        "--filter",
        "attr.label=public",
    ]);
    assert!(openssl(&place, &["dgst", "-sha256", "-binary", "-out", "digest", "data"]));
    let digest = place.file("digest");
    let sources = [vec!["--data-path", &data], vec!["--data-type", "digest", "--data-path", &digest]];
    for (scheme, option) in [("rsa-pkcs", "rsa_padding_mode:pkcs1"), ("rsa-pkcs-pss", "rsa_padding_mode:pss")]
    {
        for source in &sources {
            let sign =
                ["crypto", "sign", scheme, "--key-filter", "attr.label=private", "--hash-function", "sha256"];
            let signed = place.done(&[&sign[..], source].concat());
            let text = format!("{}\n", signed["signature"].as_str().expect("base64"));
            fs::write(place.file("base64"), text).expect("a file");
            assert!(openssl(&place, &["base64", "-d", "-A", "-in", "base64", "-out", "signature"]));
            let verify =
                ["dgst", "-sha256", "-verify", "pem", "-sigopt", option, "-signature", "signature", "data"];
            assert!(openssl(&place, &verify), "{scheme} {source:?}");
            let verify = [
                "crypto",
                "verify",
                scheme,
                "--key-filter",
                "attr.label=public",
                "--hash-function",
                "sha256",
                "--signature-path",
                &signature,
            ];
            place.done(&[&verify[..], source].concat());
        }
    }
}

#[test]
fn what_cannot_be_signed() {
    let place = Place::with_token("one");
    place.done(&["key", "generate-symmetric", "aes", "--key-length-bytes", "16", "--label", "aes"]);
    place.done(&[
        "key",
        "generate-asymmetric-pair",
        "rsa",
        "--public-label",
        "wrapping",
        "--private-label",
        "unwrapping",
        "--public-attributes",
        "wrap=true",
        "--private-attributes",
        "unwrap=true",
    ]);
    let sign = |key: &str, more: &[&str]| {
        let filter = format!("attr.label={key}");
        place.json(&[&["crypto", "sign"], more, &["--key-filter", &filter]].concat())
    };
    let rsa = ["rsa-pkcs", "--hash-function", "sha256", "--data", DATA];
    refused(sign("unwrapping", &rsa), &["the key's sign is false"]);
    refused(sign("aes", &rsa), &["another type", "CKR_KEY_TYPE_INCONSISTENT"]);
    refused(sign("nobody", &rsa), &["matched 0 keys"]);
    refused(sign("aes", &["hmac", "--data", DATA]), &["--hash-function"]);
    refused(sign("aes", &["ecdsa", "--hash-function", "md5", "--data", DATA]), &["md5"]);
    refused(sign("aes", &["ecdsa", "--hash-function", "sha256", "--data", "?"]), &["--data", "base64"]);
    refused(
        sign("aes", &["ecdsa", "--hash-function", "sha256", "--data-type", "digest", "--data", DATA]),
        &["32 bytes", "17"],
    );
    refused(sign("aes", &["ml-dsa", "--data-type", "digest", "--data", DATA]), &["external-mu"]);
    refused(
        sign("aes", &["hmac", "--hash-function", "sha256", "--data-path", "/no/such/file"]),
        &["/no/such/file"],
    );
    assert_eq!(
        run(&mut place.coffer(&["crypto", "sign", "rot13", "--key-filter", "attr.label=a", "--data", DATA]))
            .status
            .code(),
        Some(2)
    );
}
