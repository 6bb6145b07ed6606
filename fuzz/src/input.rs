//! Random bytes, taken as decisions. When they end, all further decisions are 0.

/// What is left.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// Whether anything is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        let wide = usize::from(self.byte()) << 8 | if end > 256 { usize::from(self.byte()) } else { 0 };
        if end > 256 { wide % end } else { (wide >> 8) % end }
    }

    /// True in about one of `n` cases.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Some bytes, at most `most` and at most what is left.
    pub fn bytes(&mut self, most: usize) -> &'a [u8] {
        let len = self.below(most + 1).min(self.0.len());
        let (front, rest) = self.0.split_at(len);
        self.0 = rest;
        front
    }

    /// A number: small, or about one that code counts with, or any.
    pub fn number(&mut self) -> u64 {
        match self.below(4) {
            0 => self.byte().into(),
            1 => 8 * u64::from(self.byte()),
            2 => {
                let edge = 1_u64.checked_shl(self.byte().into()).unwrap_or(0);
                edge.wrapping_sub(1).wrapping_add(self.below(3) as u64)
            }
            _ => u64::from_le_bytes([(); 8].map(|()| self.byte())),
        }
    }
}
