import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.Provider;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.Security;
import java.security.Signature;
import java.security.spec.ECGenParameterSpec;
import java.util.Arrays;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import javax.crypto.Cipher;
import javax.crypto.KeyAgreement;
import javax.crypto.KeyGenerator;
import javax.crypto.Mac;
import javax.crypto.SecretKey;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.IvParameterSpec;
import javax.crypto.spec.SecretKeySpec;

/** SunPKCS11 over a module: {@code java SunPkcs11.java CONFIGURATION PIN}. What the token makes, Java's own providers check. */
class SunPkcs11 {
    static final byte[] TEXT = "to be signed and sealed".repeat(100).getBytes();
    static Provider hsm;

    static void check(boolean right, String what) {
        if (!right) {
            throw new AssertionError(what);
        }
    }

    public static void main(String[] arguments) throws Exception {
        hsm = Security.getProvider("SunPKCS11").configure(arguments[0]);
        char[] pin = arguments[1].toCharArray();
        KeyStore store = KeyStore.getInstance("PKCS11", hsm);
        try {
            store.load(null, "wrong-pin".toCharArray());
            throw new AssertionError("a wrong PIN was accepted");
        } catch (java.io.IOException expected) {
            // The provider's way of saying CKR_PIN_INCORRECT.
        }
        store.load(null, pin);
        signatures();
        ciphers();
        agreement();
        keyStore(store);
        threads();
    }

    static void sign(KeyPair pair, String algorithm, String elsewhere) throws Exception {
        Signature signer = Signature.getInstance(algorithm, hsm);
        signer.initSign(pair.getPrivate());
        signer.update(TEXT, 0, 100);
        signer.update(TEXT, 100, TEXT.length - 100);
        byte[] signature = signer.sign();
        Signature verifier = Signature.getInstance(algorithm, elsewhere);
        verifier.initVerify(pair.getPublic());
        verifier.update(TEXT);
        check(verifier.verify(signature), algorithm + " holds for " + elsewhere);
        verifier = Signature.getInstance(algorithm, hsm);
        verifier.initVerify(pair.getPublic());
        verifier.update(TEXT, 1, TEXT.length - 1);
        check(!verifier.verify(signature), algorithm + " of another text");
    }

    static KeyPair rsa() throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA", hsm);
        generator.initialize(2048);
        return generator.generateKeyPair();
    }

    static KeyPair ec() throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC", hsm);
        generator.initialize(new ECGenParameterSpec("secp256r1"));
        return generator.generateKeyPair();
    }

    static void signatures() throws Exception {
        KeyPair rsa = rsa();
        sign(rsa, "SHA256withRSA", "SunRsaSign");
        sign(rsa, "SHA512withRSA", "SunRsaSign");
        sign(ec(), "SHA256withECDSA", "SunEC");
        System.out.println("ok: RSA and ECDSA signatures hold for Java's own providers");
    }

    static void ciphers() throws Exception {
        byte[] raw = new byte[32];
        new SecureRandom().nextBytes(raw);
        SecretKey here = new SecretKeySpec(raw, "AES");
        SecretKey there = (SecretKey) javax.crypto.SecretKeyFactory.getInstance("AES", hsm).translateKey(here);
        for (String algorithm : new String[] {"AES/CBC/PKCS5Padding", "AES/CTR/NoPadding", "AES/GCM/NoPadding"}) {
            var parameters = algorithm.contains("GCM") ? new GCMParameterSpec(128, raw, 0, 12) : new IvParameterSpec(raw, 0, 16);
            Cipher sealing = Cipher.getInstance(algorithm, hsm);
            sealing.init(Cipher.ENCRYPT_MODE, there, parameters);
            Cipher opening = Cipher.getInstance(algorithm, "SunJCE");
            opening.init(Cipher.DECRYPT_MODE, here, parameters);
            byte[] ciphertext = sealing.doFinal(TEXT);
            check(Arrays.equals(opening.doFinal(ciphertext), TEXT), algorithm + " opened by SunJCE");
            opening = Cipher.getInstance(algorithm, hsm);
            opening.init(Cipher.DECRYPT_MODE, there, parameters);
            check(Arrays.equals(opening.doFinal(ciphertext), TEXT), algorithm + " opened by the token");
        }
        Mac mac = Mac.getInstance("HmacSHA256", hsm);
        mac.init(new SecretKeySpec(raw, "HmacSHA256"));
        Mac own = Mac.getInstance("HmacSHA256", "SunJCE");
        own.init(new SecretKeySpec(raw, "HmacSHA256"));
        check(Arrays.equals(mac.doFinal(TEXT), own.doFinal(TEXT)), "HmacSHA256");
        check(Arrays.equals(MessageDigest.getInstance("SHA-256", hsm).digest(TEXT), MessageDigest.getInstance("SHA-256", "SUN").digest(TEXT)), "SHA-256");
        KeyGenerator generator = KeyGenerator.getInstance("AES", hsm);
        generator.init(256);
        check(generator.generateKey() != null, "an AES key generated");
        System.out.println("ok: AES-CBC, CTR and GCM, HMAC, SHA-256 agree with Java's own providers");
    }

    static void agreement() throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC", "SunEC");
        generator.initialize(new ECGenParameterSpec("secp256r1"));
        KeyPair here = generator.generateKeyPair();
        KeyPair there = ec();
        KeyAgreement ours = KeyAgreement.getInstance("ECDH", "SunEC");
        ours.init(here.getPrivate());
        ours.doPhase(there.getPublic(), true);
        KeyAgreement theirs = KeyAgreement.getInstance("ECDH", hsm);
        theirs.init(there.getPrivate());
        theirs.doPhase(here.getPublic(), true);
        check(Arrays.equals(ours.generateSecret(), theirs.generateSecret()), "both sides of ECDH");
        System.out.println("ok: ECDH with SunEC on the other side");
    }

    /** The pair and the certificate that the script put into the token, and a secret key stored and deleted by Java. */
    static void keyStore(KeyStore store) throws Exception {
        check(store.containsAlias("rsa") && store.isKeyEntry("rsa"), "the token's key entry");
        PrivateKey key = (PrivateKey) store.getKey("rsa", null);
        PublicKey certified = store.getCertificate("rsa").getPublicKey();
        sign(new KeyPair(certified, key), "SHA256withRSA", "SunRsaSign");
        byte[] raw = new byte[32];
        store.setKeyEntry("stored", new SecretKeySpec(raw, "AES"), null, null);
        Cipher there = Cipher.getInstance("AES/ECB/NoPadding", hsm);
        there.init(Cipher.ENCRYPT_MODE, store.getKey("stored", null));
        Cipher here = Cipher.getInstance("AES/ECB/NoPadding", "SunJCE");
        here.init(Cipher.ENCRYPT_MODE, new SecretKeySpec(raw, "AES"));
        check(Arrays.equals(there.doFinal(raw), here.doFinal(raw)), "a stored key encrypts as the original does");
        store.deleteEntry("stored");
        check(!store.containsAlias("stored"), "a key deleted");
        System.out.println("ok: the key store");
    }

    static void threads() throws Exception {
        KeyPair pair = rsa();
        Callable<Void> work = () -> {
            for (int i = 0; i < 25; i++) {
                sign(pair, "SHA256withRSA", "SunRsaSign");
            }
            return null;
        };
        var pool = Executors.newFixedThreadPool(4);
        for (var done : pool.invokeAll(java.util.Collections.nCopies(8, work))) {
            done.get();
        }
        pool.shutdown();
        System.out.println("ok: four threads, one key");
    }
}
