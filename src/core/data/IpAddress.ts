/**
 * IPv4 and IPv6 literals as 4 or 16 bytes. An IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) is its IPv4 address
 * everywhere, so one host has one spelling.
 */
import * as Bytes from "./Bytes.ts"

/** Reads a literal without brackets or zone; `undefined` for anything else. */
export const parse = (text: string): Uint8Array | undefined => (text.includes(":") ? parseV6(text) : parseV4(text))

/** The canonical text (RFC 5952) of 4 or 16 bytes; `undefined` for another length. */
export const format = (bytes: Uint8Array): string | undefined => {
  const address = unmap(bytes)
  if (address.length === 4) return address.join(".")
  return address.length === 16 ? formatV6(address) : undefined
}

/** The canonical spelling of a literal; `undefined` when it is none. */
export const canonical = (text: string): string | undefined => {
  const bytes = parse(text)
  return bytes && format(bytes)
}

/** Four bytes for an IPv4-mapped address, else the bytes themselves. */
export const unmap = (bytes: Uint8Array): Uint8Array =>
  bytes.length === 16 && Bytes.equals(bytes.subarray(0, 12), MAPPED_PREFIX) ? bytes.subarray(12) : bytes

const parseV4 = (text: string): Uint8Array | undefined => {
  const parts = text.split(".")
  // A leading zero is refused because some readers take it for octal (RFC 6943 §3.1.1).
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255))
    return undefined
  return Uint8Array.from(parts, Number)
}

const parseV6 = (text: string): Uint8Array | undefined => {
  const halves = text.split("::")
  if (halves.length > 2) return undefined
  const head = parseGroups(halves[0]!, halves.length === 1)
  const tail = halves.length === 2 ? parseGroups(halves[1]!, true) : []
  if (head === undefined || tail === undefined) return undefined
  const zeros = 16 - head.length - tail.length
  // "::" stands for at least one group of zeros (RFC 4291 §2.2).
  if (halves.length === 2 ? zeros < 2 : zeros !== 0) return undefined
  return unmap(Uint8Array.from([...head, ...new Array<number>(zeros).fill(0), ...tail]))
}

const parseGroups = (text: string, mayEndInV4: boolean): ReadonlyArray<number> | undefined => {
  if (text === "") return []
  const groups = text.split(":")
  if (groups.length > 8) return undefined
  const bytes: Array<number> = []
  for (const [index, group] of groups.entries()) {
    const v4 = mayEndInV4 && index === groups.length - 1 && group.includes(".") ? parseV4(group) : undefined
    if (v4 === undefined && !/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined
    const value = Number.parseInt(group, 16)
    bytes.push(...(v4 ?? [value >>> 8, value & 0xff]))
  }
  return bytes
}

const formatV6 = (bytes: Uint8Array): string => {
  const groups = Array.from({ length: 8 }, (_, index) => Bytes.readU16(bytes, 2 * index))
  const { start, length } = longestZeroRun(groups)
  const hex = groups.map((group) => group.toString(16))
  // A single zero group is not shortened (RFC 5952 §4.2.2).
  return length < 2 ? hex.join(":") : `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`
}

const longestZeroRun = (groups: ReadonlyArray<number>): { readonly start: number; readonly length: number } => {
  let best = { start: 0, length: 0 }
  let length = 0
  for (const [index, group] of groups.entries()) {
    length = group === 0 ? length + 1 : 0
    if (length > best.length) best = { start: index + 1 - length, length }
  }
  return best
}

const MAPPED_PREFIX = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff)
