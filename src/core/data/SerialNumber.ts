/** Serial number arithmetic on 32 bits (RFC 1982), by which sequence numbers wrap. A number is always in [0, 2^32). */

/** `a` moved forward (or, for a negative `count`, backward) on the circle. */
export const add = (a: number, count: number): number => (a + count) >>> 0

/** The signed way from `b` to `a`, in [−2^31, 2^31): positive when `a` comes after `b`. */
export const difference = (a: number, b: number): number => (a - b) | 0

/** `a` comes after `b` (RFC 1982 §3.2; wire §8). Numbers exactly 2^31 apart are after in neither direction. */
export const isAfter = (a: number, b: number): boolean => difference(a, b) > 0

/** `a` is `b` or comes after it. */
export const isAtOrAfter = (a: number, b: number): boolean => a === b || isAfter(a, b)

/** Order for sorting numbers that lie within 2^31 of each other: negative when `a` comes first. */
export const compare = (a: number, b: number): number => difference(a, b)

/** The later of two. */
export const max = (a: number, b: number): number => (isAfter(a, b) ? a : b)

/** The earlier of two. */
export const min = (a: number, b: number): number => (isAfter(a, b) ? b : a)

/** Numbers a circle holds. */
export const MODULUS = 0x100000000
