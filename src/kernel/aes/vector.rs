//! Blocks of AES side by side in one register.

/// One block in memory.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub(super) struct Block(pub [u8; 16]);

/// `BLOCKS` blocks. Only `load` and `repeat` make one from nothing, so a value proves that the processor has the
/// instructions, and what takes one is safe.
pub(super) trait Vector: Copy {
    /// Blocks in one.
    const BLOCKS: usize;

    /// # Safety
    /// The processor has the instructions, and `16 * BLOCKS` bytes may be read; any alignment will do.
    unsafe fn load(from: *const u8) -> Self;

    /// # Safety
    /// `16 * BLOCKS` bytes may be written; any alignment will do.
    unsafe fn store(self, to: *mut u8);

    /// The same block everywhere.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn repeat(block: &Block) -> Self;

    /// Exclusive or.
    fn xor(self, other: Self) -> Self;

    /// A round of the cipher (FIPS 197, section 5.1), with the round key added last.
    fn encrypt_round(self, key: Self) -> Self;

    /// The last one, without MixColumns.
    fn encrypt_last(self, key: Self) -> Self;

    /// A round of the equivalent inverse cipher (section 5.3.5).
    fn decrypt_round(self, key: Self) -> Self;

    /// The last one, without InvMixColumns.
    fn decrypt_last(self, key: Self) -> Self;

    /// For each block the one before it, for the first the last of `earlier`.
    fn shifted(self, earlier: Self) -> Self;

    /// Adds to the last byte of each block; what it carries is lost.
    fn plus_in_last_byte(self, number: u8) -> Self;

    /// Adds `first` to the low 64 bits of the first block as a little-endian number, `first + 1` to those of the second
    /// and so on.
    fn plus(self, first: u8) -> Self;

    /// Each block with its bytes in the opposite order.
    fn reversed(self) -> Self;
}
