//! What attributes an object of each class and type has: the tables of sections 4 and 6, a row an attribute.
//!
//! The numbers are the footnotes of "Common footnotes for object attribute tables" (section 4.2); where the
//! standard states the same rule in prose, the row has the footnote that says so. [`super::template`]
//! interprets them.
//!
//! | note | the attribute |
//! |---|---|
//! | 1, 3, 5 | must be given to C_CreateObject, C_GenerateKey(Pair), C_UnwrapKey |
//! | 2, 4, 6 | must not be given to C_CreateObject, C_GenerateKey(Pair), C_UnwrapKey |
//! | 7 | cannot be revealed where CKA_SENSITIVE is true or CKA_EXTRACTABLE is false |
//! | 8 | can be changed by C_SetAttributeValue and C_CopyObject |
//! | 9 | has a default of the token's choice |
//! | 10 | can be set to true by the SO only |
//! | 11, 12 | cannot be changed once true, once false |
//!
//! Numbers from 20 on are for rules that the standard gives in prose alone:
//!
//! | note | the attribute |
//! |---|---|
//! | 20 | can be changed by C_CopyObject only (section 4.1.3) |
//! | 21 | one of those so marked must be given to C_CreateObject (sections 6.67.3, 6.68.3) |
//! | 22 | only tells C_UnwrapKey and C_DeriveKey a length to check; the object does not keep it (section 5.18) |
//! | 23 | can be emptied by C_SetAttributeValue (section 4.11) |

use super::attribute::{self, AttributeType, CKA_COFFER_MANAGE_QUORUM, CKA_COFFER_USE_QUORUM, Kind, Set};
use super::{Act, Attributes};
use crate::error::Result;
use cryptoki_sys::*;
use std::iter;
use std::sync::{LazyLock, OnceLock};

/// A set of footnotes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Notes(u32);

impl Notes {
    const fn of(notes: &[u32]) -> Notes {
        let (mut set, mut at) = (0, 0);
        while at < notes.len() {
            set |= 1 << notes[at];
            at += 1;
        }
        Notes(set)
    }

    /// Whether one of these footnotes is there.
    const fn has_one_of(self, notes: Notes) -> bool {
        self.0 & notes.0 != 0
    }

    /// Whether the footnote is there.
    pub const fn has(self, note: u32) -> bool {
        self.0 & (1 << note) != 0
    }
}

/// What an object has where nobody gave the attribute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Absent {
    /// No such attribute.
    Nothing,
    /// An attribute of no bytes. It is not stored.
    Empty,
    /// A Boolean.
    Bool(bool),
    /// A number.
    Ulong(CK_ULONG),
}

/// An attribute of a class or type.
#[derive(Debug)]
pub struct Row {
    /// CKA_*.
    pub attribute: AttributeType,
    /// The rules for it.
    pub notes: Notes,
    /// Its default, unless footnote 9 leaves that to the token.
    pub absent: Absent,
}

impl Row {
    /// Whether no value of the attribute's kind is wrong in a template or stands for nothing. Of what is secret that is
    /// for the key's type to say.
    fn takes_any_value(&self) -> bool {
        match attribute::kind(self.attribute) {
            Some(Kind::Bool) => true,
            Some(Kind::Ulong) => attribute::greatest(self.attribute) == CK_ULONG::MAX,
            Some(Kind::Bytes | Kind::Integer) => self.notes.has(7),
            _ => false,
        }
    }
}

/// The objects of one type within a class: a CKA_KEY_TYPE, a CKA_CERTIFICATE_TYPE.
#[derive(Debug)]
pub struct Type {
    number: CK_ULONG,
    rows: &'static [Row],
    /// What a key of the type is first of all for: its uses where nobody asked for any.
    pub uses: &'static [AttributeType],
}

/// A class of objects.
#[derive(Debug)]
pub struct Class {
    /// CKO_*.
    pub number: CK_OBJECT_CLASS,
    /// How an application can make one; not at all if empty.
    pub made_by: &'static [Act],
    common: &'static [&'static [Row]],
    /// The attribute that tells the types within the class.
    type_attribute: Option<AttributeType>,
    types: &'static [Type],
}

/// The attributes of one class and type.
#[derive(Debug)]
pub struct Schema {
    /// The class.
    pub class: &'static Class,
    /// The type, where the class has types.
    pub r#type: Option<&'static Type>,
    /// In ascending order of the attributes, as [`Attributes`] are.
    rows: Box<[&'static Row]>,
    /// The same by the attributes' places among all.
    places: Box<[Option<&'static Row>]>,
    secrets: Box<[AttributeType]>,
    demanded: [Set; 3],
    passing: Box<[&'static Row]>,
    either: Set,
    /// What a template for each [`Act`] may give without being judged.
    free: [Set; 4],
    blanks: Box<[OnceLock<Attributes>; BLANKS]>,
}

/// Sets of rules that give defaults of their own.
pub const BLANKS: usize = 32;

/// All schemas by the class's number, in ascending order of the types: the tables below, multiplied out.
static SCHEMAS: LazyLock<Vec<Vec<Schema>>> = LazyLock::new(|| {
    let mut schemas = Vec::new();
    for class in CLASSES {
        let at = class.number as usize;
        schemas.resize_with(schemas.len().max(at + 1), Vec::new);
        schemas[at] = class.schemas();
        schemas[at].sort_by_key(Schema::type_number);
    }
    schemas
});

impl Class {
    fn schemas(&'static self) -> Vec<Schema> {
        match self.types {
            [] => vec![Schema::new(self, None)],
            types => types.iter().map(|of| Schema::new(self, Some(of))).collect(),
        }
    }
}

impl Schema {
    fn new(class: &'static Class, r#type: Option<&'static Type>) -> Schema {
        let common = class.common.iter().copied().flatten();
        let mut rows: Vec<&Row> = common.chain(r#type.into_iter().flat_map(|of| of.rows)).collect();
        rows.sort_by_key(|row| row.attribute);
        let with = |notes: Notes| rows.iter().copied().filter(move |row| row.notes.has_one_of(notes));
        Schema {
            class,
            r#type,
            secrets: with(Notes::of(&[7])).map(|row| row.attribute).collect(),
            demanded: [1, 3, 5].map(|note| with(Notes::of(&[note])).map(|row| row.attribute).collect()),
            passing: with(Notes::of(&[22, 23])).collect(),
            either: with(Notes::of(&[21])).map(|row| row.attribute).collect(),
            places: attribute::ALL
                .iter()
                .map(|of| rows.iter().copied().find(|row| row.attribute == *of))
                .collect(),
            free: [Act::Create, Act::Generate, Act::Unwrap, Act::Derive].map(|act| {
                let judged = Notes::of(&[10]).0 | 1 << act.must_not();
                let free =
                    rows.iter().filter(|row| row.takes_any_value() && !row.notes.has_one_of(Notes(judged)));
                free.map(|row| row.attribute).collect()
            }),
            blanks: Box::new([const { OnceLock::new() }; BLANKS]),
            rows: rows.into(),
        }
    }

    fn type_number(&self) -> Option<CK_ULONG> {
        self.r#type.map(|of| of.number)
    }

    /// The attributes that tell class and type, and the numbers they have.
    pub fn numbers(&self) -> impl Iterator<Item = (AttributeType, CK_ULONG)> {
        let of_type = self.class.type_attribute.zip(self.type_number());
        iter::once((CKA_CLASS, self.class.number)).chain(of_type)
    }

    /// All rows, in ascending order of their attributes.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &'static Row> {
        self.rows.iter().copied()
    }

    /// The attributes that footnote 7 guards.
    pub fn secrets(&self) -> impl ExactSizeIterator<Item = AttributeType> {
        self.secrets.iter().copied()
    }

    /// What a template must give by one of the footnotes 1, 3 and 5.
    pub fn demanded(&self, note: u32) -> Set {
        self.demanded[note as usize / 2]
    }

    /// The defaults under one of [`BLANKS`] sets of rules, as `make` gives them the first time.
    pub fn blank(&self, rules: usize, make: impl FnOnce() -> Attributes) -> &Attributes {
        self.blanks[rules].get_or_init(make)
    }

    /// What may go again before an object is finished (footnotes 22 and 23).
    pub fn passing(&self) -> impl Iterator<Item = &'static Row> {
        self.passing.iter().copied()
    }

    /// Of which such an object has one at least, if there are any (footnote 21).
    pub fn either(&self) -> Set {
        self.either
    }

    /// What any template for such an object may give, whatever it says, and what the object then has as it is given.
    pub fn free(&self, act: Act) -> Set {
        self.free[act as usize]
    }

    /// The row of an attribute, if such objects can have it.
    pub fn find(&self, attribute: AttributeType) -> Option<&'static Row> {
        self.places[attribute::place(attribute)?]
    }

    /// The row of an attribute in a template for such an object.
    ///
    /// # Errors
    /// CKR_ATTRIBUTE_TYPE_INVALID for an attribute nobody knows, CKR_TEMPLATE_INCONSISTENT for another
    /// class's or type's (section 4.1.1).
    pub fn row(&self, attribute: AttributeType) -> Result<&'static Row> {
        match self.find(attribute) {
            Some(row) => Ok(row),
            None if attribute::kind(attribute).is_some() => {
                fail!(TemplateInconsistent, "{}: not of this class and type", attribute::name(attribute))
            }
            None => fail!(AttributeTypeInvalid, "{}: unknown", attribute::name(attribute)),
        }
    }

    /// Whether the objects are keys.
    pub fn is_key(&self) -> bool {
        self.class.type_attribute == Some(CKA_KEY_TYPE)
    }
}

/// The schema of a class and type, if there are such objects.
pub fn lookup(class: CK_OBJECT_CLASS, r#type: Option<CK_ULONG>) -> Option<&'static Schema> {
    of_class(class).iter().find(|schema| schema.type_number() == r#type)
}

fn of_class(class: CK_OBJECT_CLASS) -> &'static [Schema] {
    SCHEMAS.get(class as usize).map_or(&[], Vec::as_slice)
}

/// Class and type of a key, where a function implies them.
pub type Implied = Option<(CK_OBJECT_CLASS, CK_KEY_TYPE)>;

/// The schema of an object, or of a template and what is implied, which together tell class and type.
///
/// # Errors
/// CKR_TEMPLATE_INCOMPLETE without class or type, CKR_ATTRIBUTE_VALUE_INVALID for one that is unknown,
/// CKR_TEMPLATE_INCONSISTENT for a type of another class.
pub fn of_both(template: &Attributes, implied: Implied) -> Result<&'static Schema> {
    let need = |attribute| match (implied, attribute) {
        (Some((class, _)), CKA_CLASS) => Ok(class),
        (Some((_, key_type)), CKA_KEY_TYPE) => Ok(key_type),
        _ => template.need_ulong(attribute),
    };
    let class_number = need(CKA_CLASS)?;
    let schemas = of_class(class_number);
    let Some(Schema { class, .. }) = schemas.first() else {
        fail!(AttributeValueInvalid, "CKA_CLASS: {class_number:#x} is not supported");
    };
    let number = class.type_attribute.map(need).transpose()?;
    if let Some(schema) = schemas.iter().find(|schema| schema.type_number() == number) {
        return Ok(schema);
    }
    let name = attribute::name(class.type_attribute.unwrap_or(CKA_CLASS));
    let number = number.unwrap_or(class_number);
    let elsewhere = CLASSES.iter().filter(|other| other.type_attribute == class.type_attribute);
    if elsewhere.flat_map(|other| other.types).any(|of| of.number == number) {
        fail!(TemplateInconsistent, "{name}: {number:#x} is not of class {:#x}", class.number);
    }
    fail!(AttributeValueInvalid, "{name}: {number:#x} is not supported")
}

/// The schema of an object.
///
/// # Errors
/// As [`of_both`].
pub fn of(attributes: &Attributes) -> Result<&'static Schema> {
    of_both(attributes, None)
}

/// The schemas of types that an incomplete template can be meant for.
pub fn candidates(
    class: Option<CK_OBJECT_CLASS>,
    r#type: Option<CK_ULONG>,
) -> impl Iterator<Item = &'static Schema> {
    SCHEMAS.iter().flatten().filter(move |schema| {
        let fits = |of: &Type| r#type.is_none_or(|wanted| of.number == wanted);
        class.is_none_or(|class| class == schema.class.number) && schema.r#type.is_some_and(fits)
    })
}

/// One line an attribute: name, footnotes, default.
macro_rules! rows {
    (@) => { Absent::Nothing };
    (@ EMPTY) => { Absent::Empty };
    (@ FALSE) => { Absent::Bool(false) };
    (@ TRUE) => { Absent::Bool(true) };
    (@ $number:ident) => { Absent::Ulong($number) };
    ($($name:ident [$($note:literal)*] $(= $absent:ident)?;)*) => {
        &[$(Row { attribute: $name, notes: Notes::of(&[$($note),*]), absent: rows!(@ $($absent)?) }),*]
    };
}

/// One line a type: number, rows, uses.
macro_rules! types {
    ($($number:ident $rows:ident [$($use:ident)*];)*) => {
        &[$(Type { number: $number, rows: $rows, uses: &[$($use),*] }),*]
    };
}

static CLASSES: &[Class] = &[
    Class {
        number: CKO_DATA,
        made_by: &[Act::Create, Act::Derive],
        common: &[STORAGE, DATA],
        type_attribute: None,
        types: &[],
    },
    Class {
        number: CKO_CERTIFICATE,
        made_by: &[Act::Create],
        common: &[STORAGE, CERTIFICATE],
        type_attribute: Some(CKA_CERTIFICATE_TYPE),
        types: types! {
            CKC_X_509 X_509 [];
            CKC_X_509_ATTR_CERT X_509_ATTRIBUTE [];
        },
    },
    Class {
        number: CKO_PUBLIC_KEY,
        made_by: &[Act::Create, Act::Generate],
        common: &[STORAGE, KEY, PUBLIC_KEY],
        type_attribute: Some(CKA_KEY_TYPE),
        types: types! {
            CKK_RSA RSA_PUBLIC [CKA_ENCRYPT CKA_VERIFY];
            CKK_EC EC_PUBLIC [CKA_VERIFY];
            CKK_EC_EDWARDS EC_PUBLIC [CKA_VERIFY];
            CKK_EC_MONTGOMERY EC_PUBLIC [];
            CKK_ML_DSA ML_PUBLIC [CKA_VERIFY];
            CKK_ML_KEM ML_PUBLIC [CKA_ENCAPSULATE];
        },
    },
    Class {
        number: CKO_PRIVATE_KEY,
        made_by: &[Act::Create, Act::Generate, Act::Unwrap],
        common: &[STORAGE, KEY, PRIVATE_KEY],
        type_attribute: Some(CKA_KEY_TYPE),
        types: types! {
            CKK_RSA RSA_PRIVATE [CKA_DECRYPT CKA_SIGN];
            CKK_EC EC_PRIVATE [CKA_SIGN];
            CKK_EC_EDWARDS EC_PRIVATE [CKA_SIGN];
            CKK_EC_MONTGOMERY EC_PRIVATE [];
            CKK_ML_DSA ML_PRIVATE [CKA_SIGN];
            CKK_ML_KEM ML_PRIVATE [CKA_DECAPSULATE];
        },
    },
    Class {
        number: CKO_SECRET_KEY,
        made_by: &[Act::Create, Act::Generate, Act::Unwrap, Act::Derive],
        common: &[STORAGE, KEY, SECRET_KEY],
        type_attribute: Some(CKA_KEY_TYPE),
        types: types! {
            CKK_GENERIC_SECRET ANY_LENGTH [CKA_SIGN CKA_VERIFY];
            CKK_AES ANY_LENGTH [CKA_ENCRYPT CKA_DECRYPT];
            CKK_AES_XTS ANY_LENGTH [CKA_ENCRYPT CKA_DECRYPT];
            CKK_DES2 FIXED_LENGTH [CKA_ENCRYPT CKA_DECRYPT];
            CKK_DES3 FIXED_LENGTH [CKA_ENCRYPT CKA_DECRYPT];
            CKK_HKDF ANY_LENGTH [];
            CKK_SHA_1_HMAC ANY_LENGTH [CKA_SIGN CKA_VERIFY];
            CKK_SHA224_HMAC ANY_LENGTH [CKA_SIGN CKA_VERIFY];
            CKK_SHA256_HMAC ANY_LENGTH [CKA_SIGN CKA_VERIFY];
            CKK_SHA384_HMAC ANY_LENGTH [CKA_SIGN CKA_VERIFY];
            CKK_SHA512_HMAC ANY_LENGTH [CKA_SIGN CKA_VERIFY];
            CKK_SHA512_224_HMAC ANY_LENGTH [CKA_SIGN CKA_VERIFY];
            CKK_SHA512_256_HMAC ANY_LENGTH [CKA_SIGN CKA_VERIFY];
            CKK_SHA3_224_HMAC ANY_LENGTH [CKA_SIGN CKA_VERIFY];
            CKK_SHA3_256_HMAC ANY_LENGTH [CKA_SIGN CKA_VERIFY];
            CKK_SHA3_384_HMAC ANY_LENGTH [CKA_SIGN CKA_VERIFY];
            CKK_SHA3_512_HMAC ANY_LENGTH [CKA_SIGN CKA_VERIFY];
        },
    },
    // Built in: an application finds and reads them.
    Class {
        number: CKO_MECHANISM,
        made_by: &[],
        common: &[STORAGE, MECHANISM],
        type_attribute: None,
        types: &[],
    },
    Class {
        number: CKO_PROFILE,
        made_by: &[],
        common: &[STORAGE, PROFILE],
        type_attribute: None,
        types: &[],
    },
    Class {
        number: CKO_VALIDATION,
        made_by: &[],
        common: &[STORAGE, VALIDATION],
        type_attribute: None,
        types: &[],
    },
];

// ---- common to several classes: sections 4.2, 4.4, 4.8 ------------------------------------------------------

static STORAGE: &[Row] = rows! {
    CKA_CLASS        [1];
    CKA_UNIQUE_ID    [2 4 6];
    CKA_TOKEN        [20]           = FALSE;
    // A copy may be more private than what it is a copy of, never less.
    CKA_PRIVATE      [9 11 20];
    CKA_MODIFIABLE   [20]           = TRUE;
    CKA_LABEL        [8]            = EMPTY;
    CKA_COPYABLE     [8 12]         = TRUE;
    CKA_DESTROYABLE  [20]           = TRUE;
};

static KEY: &[Row] = rows! {
    CKA_KEY_TYPE                 [1 5];
    CKA_ID                       [8]        = EMPTY;
    CKA_START_DATE               [8]        = EMPTY;
    CKA_END_DATE                 [8]        = EMPTY;
    CKA_DERIVE                   [8]        = FALSE;
    CKA_LOCAL                    [2 4 6];
    CKA_KEY_GEN_MECHANISM        [2 4 6]    = CK_UNAVAILABLE_INFORMATION;
    CKA_ALLOWED_MECHANISMS       [];
    CKA_OBJECT_VALIDATION_FLAGS  [2 4 6]    = NO_FLAGS;
};

const NO_FLAGS: CK_FLAGS = 0;

// ---- data and certificates: sections 4.5, 4.6 ---------------------------------------------------------------

static DATA: &[Row] = rows! {
    CKA_APPLICATION  []  = EMPTY;
    CKA_OBJECT_ID    []  = EMPTY;
    CKA_VALUE        []  = EMPTY;
};

static CERTIFICATE: &[Row] = rows! {
    CKA_CERTIFICATE_TYPE      [1];
    // Changed after creation by the SO only.
    CKA_TRUSTED               [8 10]  = FALSE;
    CKA_CERTIFICATE_CATEGORY  []      = CK_CERTIFICATE_CATEGORY_UNSPECIFIED;
    CKA_CHECK_VALUE           [23];
    CKA_START_DATE            []      = EMPTY;
    CKA_END_DATE              []      = EMPTY;
    CKA_PUBLIC_KEY_INFO       []      = EMPTY;
};

static X_509: &[Row] = rows! {
    CKA_SUBJECT                     [1];
    CKA_ID                          [8]  = EMPTY;
    CKA_ISSUER                      [8]  = EMPTY;
    CKA_SERIAL_NUMBER               [8]  = EMPTY;
    CKA_VALUE                       [1];
    CKA_URL                         []   = EMPTY;
    CKA_HASH_OF_SUBJECT_PUBLIC_KEY  []   = EMPTY;
    CKA_HASH_OF_ISSUER_PUBLIC_KEY   []   = EMPTY;
    CKA_JAVA_MIDP_SECURITY_DOMAIN   []   = CK_SECURITY_DOMAIN_UNSPECIFIED;
    CKA_NAME_HASH_ALGORITHM         [];
};

static X_509_ATTRIBUTE: &[Row] = rows! {
    CKA_OWNER          [1];
    CKA_AC_ISSUER      [8]  = EMPTY;
    CKA_SERIAL_NUMBER  [8]  = EMPTY;
    CKA_ATTR_TYPES     [8]  = EMPTY;
    CKA_VALUE          [1];
};

// ---- public keys: section 4.9 -------------------------------------------------------------------------------

static PUBLIC_KEY: &[Row] = rows! {
    CKA_SUBJECT               [8]      = EMPTY;
    CKA_ENCRYPT               [8 9];
    CKA_VERIFY                [8 9];
    CKA_VERIFY_RECOVER        [8 9];
    CKA_WRAP                  [8 9];
    CKA_ENCAPSULATE           [8 9];
    CKA_TRUSTED               [8 10]   = FALSE;
    CKA_WRAP_TEMPLATE         [];
    CKA_ENCAPSULATE_TEMPLATE  [];
    CKA_PUBLIC_KEY_INFO       []       = EMPTY;
    // CloudHSM's: the first bytes of the SHA-1 of the public key.
    CKA_CHECK_VALUE           [2 4 6];
};

static RSA_PUBLIC: &[Row] = rows! {
    CKA_MODULUS          [1 4];
    CKA_MODULUS_BITS     [2 3];
    CKA_PUBLIC_EXPONENT  [1];
};

/// Short Weierstrass, Edwards and Montgomery curves.
static EC_PUBLIC: &[Row] = rows! {
    CKA_EC_PARAMS  [1 3];
    CKA_EC_POINT   [1 4];
};

/// ML-DSA and ML-KEM.
static ML_PUBLIC: &[Row] = rows! {
    CKA_PARAMETER_SET  [1 3];
    CKA_VALUE          [1 4];
};

// ---- private keys: section 4.10 -----------------------------------------------------------------------------

static PRIVATE_KEY: &[Row] = rows! {
    CKA_SUBJECT               [8]       = EMPTY;
    CKA_SENSITIVE             [8 9 11];
    CKA_DECRYPT               [8 9];
    CKA_SIGN                  [8 9];
    CKA_SIGN_RECOVER          [8 9];
    CKA_UNWRAP                [8 9];
    CKA_DECAPSULATE           [8 9];
    CKA_EXTRACTABLE           [8 9 12];
    CKA_ALWAYS_SENSITIVE      [2 4 6];
    CKA_NEVER_EXTRACTABLE     [2 4 6];
    CKA_WRAP_WITH_TRUSTED     [8 11]    = FALSE;
    CKA_UNWRAP_TEMPLATE       [];
    CKA_DECAPSULATE_TEMPLATE  [];
    CKA_DERIVE_TEMPLATE       [];
    CKA_ALWAYS_AUTHENTICATE   []        = FALSE;
    CKA_PUBLIC_KEY_INFO       [8]       = EMPTY;
    // CloudHSM's, as with public keys.
    CKA_CHECK_VALUE           [2 4 6];
    CKA_COFFER_MANAGE_QUORUM  [];
    CKA_COFFER_USE_QUORUM     [];
};

static RSA_PRIVATE: &[Row] = rows! {
    CKA_MODULUS           [1 4 6];
    CKA_PUBLIC_EXPONENT   [1 4 6];
    CKA_PRIVATE_EXPONENT  [1 4 6 7];
    CKA_PRIME_1           [4 6 7];
    CKA_PRIME_2           [4 6 7];
    CKA_EXPONENT_1        [4 6 7];
    CKA_EXPONENT_2        [4 6 7];
    CKA_COEFFICIENT       [4 6 7];
};

static EC_PRIVATE: &[Row] = rows! {
    CKA_EC_PARAMS  [1 4 6];
    CKA_VALUE      [1 4 6 7];
};

static ML_PRIVATE: &[Row] = rows! {
    CKA_PARAMETER_SET  [1 4 6];
    CKA_SEED           [4 6 7 21];
    CKA_VALUE          [4 6 7 21];
};

// ---- secret keys: section 4.11 ------------------------------------------------------------------------------

static SECRET_KEY: &[Row] = rows! {
    CKA_SENSITIVE          [8 9 11];
    CKA_ENCRYPT            [8 9];
    CKA_DECRYPT            [8 9];
    CKA_SIGN               [8 9];
    CKA_VERIFY             [8 9];
    CKA_WRAP               [8 9];
    CKA_UNWRAP             [8 9];
    CKA_EXTRACTABLE        [8 9 12];
    CKA_ALWAYS_SENSITIVE   [2 4 6];
    CKA_NEVER_EXTRACTABLE  [2 4 6];
    CKA_CHECK_VALUE        [23];
    CKA_WRAP_WITH_TRUSTED  [8 11]    = FALSE;
    CKA_TRUSTED            [8 10]    = FALSE;
    CKA_WRAP_TEMPLATE      [];
    CKA_UNWRAP_TEMPLATE    [];
    CKA_DERIVE_TEMPLATE    [];
    CKA_COFFER_MANAGE_QUORUM [];
    CKA_COFFER_USE_QUORUM  [];
};

/// The tables of some types forbid CKA_VALUE_LEN to C_UnwrapKey; 3.2's description of C_UnwrapKey allows it.
static ANY_LENGTH: &[Row] = rows! {
    CKA_VALUE      [1 4 6 7];
    CKA_VALUE_LEN  [2 3];
};

static FIXED_LENGTH: &[Row] = rows! {
    CKA_VALUE      [1 4 6 7];
    CKA_VALUE_LEN  [2 4 22];
};

// ---- built in: sections 4.13 to 4.15 ------------------------------------------------------------------------

static MECHANISM: &[Row] = rows! {
    CKA_MECHANISM_TYPE  [];
};

static PROFILE: &[Row] = rows! {
    CKA_PROFILE_ID  [];
};

static VALIDATION: &[Row] = rows! {
    CKA_VALIDATION_TYPE                    [];
    CKA_VALIDATION_VERSION                 [];
    CKA_VALIDATION_LEVEL                   [];
    CKA_VALIDATION_MODULE_ID               [];
    CKA_VALIDATION_FLAG                    [];
    CKA_VALIDATION_AUTHORITY_TYPE          [];
    CKA_VALIDATION_COUNTRY                 []  = EMPTY;
    CKA_VALIDATION_CERTIFICATE_IDENTIFIER  []  = EMPTY;
    CKA_VALIDATION_CERTIFICATE_URI         []  = EMPTY;
    CKA_VALIDATION_VENDOR_URI              []  = EMPTY;
    CKA_VALIDATION_PROFILE                 []  = EMPTY;
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Rv;
    use crate::object::Kind;
    use std::collections::BTreeSet;

    #[test]
    fn an_attribute_has_one_row_and_a_kind() {
        for schema in SCHEMAS.iter().flatten() {
            let mut seen = BTreeSet::new();
            for row in schema.rows() {
                let kind = attribute::kind(row.attribute).expect("in attribute.rs");
                assert!(seen.insert(row.attribute), "{} twice", attribute::name(row.attribute));
                let fits = match row.absent {
                    Absent::Nothing => true,
                    Absent::Bool(_) => kind == Kind::Bool,
                    Absent::Ulong(_) => kind == Kind::Ulong,
                    Absent::Empty => matches!(kind, Kind::Bytes | Kind::Text | Kind::Date),
                };
                assert!(fits, "{}: default of another kind", attribute::name(row.attribute));
                // A token-specific default and the standard's default exclude each other.
                assert!(!row.notes.has(9) || row.absent == Absent::Nothing);
            }
        }
    }

    #[test]
    fn footnotes_of_one_row_agree() {
        for (schema, row) in
            SCHEMAS.iter().flatten().flat_map(|schema| schema.rows().map(move |row| (schema, row)))
        {
            let name = attribute::name(row.attribute);
            for (must, must_not) in [(1, 2), (3, 4), (5, 6), (11, 12)] {
                assert!(!(row.notes.has(must) && row.notes.has(must_not)), "{name}");
            }
            // What the module alone makes is never changed, and what is secret never comes from a template
            // of C_UnwrapKey.
            assert!(
                !(row.notes.has(2) && row.notes.has(4) && row.notes.has(6) && row.notes.has(8)),
                "{name}"
            );
            assert!(
                !row.notes.has(7) || (row.notes.has(4) && row.notes.has(6) && !row.notes.has(8)),
                "{name}"
            );
            let uses = schema.r#type.map_or(&[][..], |of| of.uses);
            assert!(
                uses.iter().all(|usage| schema.find(*usage).is_some_and(|row| row.notes.has(9))),
                "{name}"
            );
        }
    }

    #[test]
    fn classes_and_types_are_told_apart() {
        let attributes = |class, r#type| Attributes::new().with(CKA_CLASS, class).with(CKA_KEY_TYPE, r#type);
        let rv = |attributes| of(&attributes).unwrap_err().rv();
        assert_eq!(rv(Attributes::new()), Rv::TemplateIncomplete);
        assert_eq!(rv(Attributes::new().with(CKA_CLASS, CKO_SECRET_KEY)), Rv::TemplateIncomplete);
        assert_eq!(rv(attributes(CKO_OTP_KEY, CKK_AES)), Rv::AttributeValueInvalid);
        assert_eq!(rv(attributes(CKO_SECRET_KEY, CKK_SEED)), Rv::AttributeValueInvalid);
        assert_eq!(rv(attributes(CKO_SECRET_KEY, CKK_RSA)), Rv::TemplateInconsistent);
        let aes = of(&attributes(CKO_SECRET_KEY, CKK_AES)).unwrap();
        assert!(aes.row(CKA_VALUE_LEN).is_ok());
        assert_eq!(aes.row(CKA_MODULUS).unwrap_err().rv(), Rv::TemplateInconsistent);
        assert_eq!(aes.row(CKA_VENDOR_DEFINED | 7).unwrap_err().rv(), Rv::AttributeTypeInvalid);
    }
}
