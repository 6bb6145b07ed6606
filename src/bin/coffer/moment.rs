//! Moments as people write them.

use coffer_pkcs11::log::Moment;

/// Milliseconds since 1970 of `2026-11-28`, `2026-11-28T20:50`, `2026-11-28T20:50:07.123Z` (all in UTC), or so long ago:
/// `90s`, `15m`, `12h`, `7d`.
///
/// # Errors
/// A sentence.
pub fn parse(text: &str) -> Result<u64, String> {
    absolute(text)
        .or_else(|| relative(text))
        .ok_or_else(|| format!("{text:?} is no time such as 2026-11-28, 2026-11-28T20:50:07Z or 7d (ago)"))
}

fn relative(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let ago = digits(number)?.checked_mul(seconds * 1_000)?;
    Some(Moment::now().millis().saturating_sub(ago))
}

fn absolute(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let numbers = |text: &str, between| text.split(between).map(digits).collect::<Option<Vec<_>>>();
    let (date, time) = (numbers(date, '-')?, numbers(time, ':')?);
    let ([year, month, day], ([hours, minutes], seconds)) = (&date[..], (time.get(..2)?, time.get(2))) else {
        return None;
    };
    let seconds = *seconds.unwrap_or(&0);
    let valid = (1970..10_000).contains(year) && (1..=12).contains(month) && (1..=31).contains(day);
    if !valid || time.len() > 3 || *hours > 23 || *minutes > 59 || seconds > 60 {
        return None;
    }
    let millis = digits(&format!("{fraction:0<3}").chars().take(3).collect::<String>())?;
    let seconds = days(*year, *month, *day) * 86_400 + hours * 3_600 + minutes * 60 + seconds;
    Some(seconds * 1_000 + millis)
}

fn digits(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Days since 1970-01-01, in years that begin in March, so that the leap day comes last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// A moment in a file's name: `20261128T205007.123Z`.
pub fn in_a_name(moment: Moment) -> String {
    moment.to_string().replace(['-', ':'], "")
}

/// Milliseconds since 1970 of what [`in_a_name`] wrote.
pub fn from_a_name(name: &str) -> Option<u64> {
    let part = |from, to| name.get(from..to);
    let plain = format!(
        "{}-{}-{}T{}:{}:{}{}",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(9, 11)?,
        part(11, 13)?,
        part(13, 15)?,
        name.get(15..)?
    );
    absolute(&plain).filter(|millis| in_a_name(Moment::from_millis(*millis)) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_come_back_as_they_were() {
        for millis in [0, 951_782_400_000, 1_795_899_007_123, 4_107_542_399_999] {
            let moment = Moment::from_millis(millis);
            assert_eq!(parse(&moment.to_string()), Ok(millis));
            assert_eq!(from_a_name(&in_a_name(moment)), Some(millis));
        }
        assert_eq!(parse("2000-02-29"), Ok(951_782_400_000));
        assert_eq!(parse("2000-02-29 00:01"), Ok(951_782_460_000));
        assert!(parse("1d").unwrap() < Moment::now().millis() - 86_399_000);
        for wrong in ["", "d", "yesterday", "2000-13-01", "2000-01", "1d2", "-1d", "2000-01-01T25:00", "é"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        for wrong in ["20261128T205007.123", "2026", "20261128X205007.123Z", "é0261128T205007.123Z"] {
            assert_eq!(from_a_name(wrong), None, "{wrong}");
        }
    }
}
