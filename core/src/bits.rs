//! Named bit sets: facts that may hold together. (States that exclude each other are enums.)

/// Declares a set of named bits with the usual operations.
///
/// `bit_set! { /// doc \n pub struct Name: u8 { /// doc \n FLAG = 1, } }`
#[macro_export]
macro_rules! bit_set {
    ($(#[$outer:meta])* $vis:vis struct $name:ident: $int:ty {
        $($(#[$inner:meta])* $flag:ident = $value:expr,)*
    }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        $vis struct $name($int);

        #[allow(dead_code)]
        impl $name {
            $($(#[$inner])* pub const $flag: $name = $name($value);)*
            /// The empty set.
            pub const NONE: $name = $name(0);

            /// The bits as a number.
            pub const fn bits(self) -> $int { self.0 }
            /// Whether every bit of `other` is in the set.
            pub const fn has(self, other: $name) -> bool { self.0 & other.0 == other.0 }
            /// Whether some bit of `other` is in the set.
            pub const fn any(self, other: $name) -> bool { self.0 & other.0 != 0 }
            /// Whether no bit is in the set.
            pub const fn is_empty(self) -> bool { self.0 == 0 }
            /// The bits of both.
            pub const fn with(self, other: $name) -> $name { $name(self.0 | other.0) }
            /// The bits that are not in `other`.
            pub const fn without(self, other: $name) -> $name { $name(self.0 & !other.0) }
            /// Adds the bits of `other`.
            pub fn set(&mut self, other: $name) { self.0 |= other.0; }
            /// Removes the bits of `other`.
            pub fn clear(&mut self, other: $name) { self.0 &= !other.0; }
            /// The lowest bit that is in the set.
            pub fn lowest(self) -> Option<$name> {
                let lowest = self.0 & self.0.wrapping_neg();
                if lowest == 0 { None } else { Some($name(lowest)) }
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                #[allow(unused_mut)]
                let mut first = true;
                f.write_str("{")?;
                $(if self.has($name::$flag) {
                    if !core::mem::take(&mut first) { f.write_str(" ")?; }
                    f.write_str(stringify!($flag))?;
                })*
                f.write_str("}")
            }
        }
    };
}

#[cfg(test)]
mod tests {
    bit_set! {
        /// For the test.
        struct Set: u8 { A = 1, B = 2, C = 4, }
    }

    #[test]
    fn sets_do_what_sets_do() {
        let mut set = Set::A.with(Set::C);
        assert!(set.has(Set::A) && set.any(Set::B.with(Set::C)) && !set.has(Set::B));
        assert_eq!(set.lowest(), Some(Set::A));
        set.clear(Set::A);
        assert_eq!(format!("{set:?}"), "{C}");
        assert_eq!(Set::NONE.lowest(), None);
    }
}
