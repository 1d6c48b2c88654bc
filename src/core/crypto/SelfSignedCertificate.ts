/**
 * A self-signed X.509 certificate for servers that are recognised by its fingerprint (rendezvous §2.6): ECDSA P-256,
 * written directly as DER (X.690, RFC 5280), because everything a pinned certificate needs fits on a page.
 */
import { createHash, generateKeyPairSync, randomBytes, sign, X509Certificate } from "node:crypto"

/** A certificate and its private key, both PEM. */
export interface TlsIdentity {
  readonly certificatePem: string
  readonly privateKeyPem: string
}

/** What the certificate says of its holder. */
export interface Subject {
  readonly organization: string
  readonly dnsNames: ReadonlyArray<string>
  /** IP addresses, 4 or 16 bytes each. */
  readonly addresses: ReadonlyArray<Uint8Array>
}

/** A fresh key and its certificate, valid from an hour before `unixSeconds`, for clocks that run behind. */
export const make = (subject: Subject, unixSeconds: number): TlsIdentity => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" })
  const toBeSigned = sequence(
    tlv(0xa0, integer(Uint8Array.of(2))),
    integer(positive(randomBytes(SERIAL_BYTES))),
    ECDSA_SHA256,
    name(subject.organization),
    sequence(time(unixSeconds - 3600), time(unixSeconds + VALID_SECONDS)),
    name(subject.organization),
    publicKey.export({ type: "spki", format: "der" }),
    tlv(0xa3, sequence(...extensions(subject)))
  )
  const certificate = sequence(toBeSigned, ECDSA_SHA256, bitString(sign("sha256", toBeSigned, privateKey)))
  return {
    certificatePem: pem("CERTIFICATE", certificate),
    privateKeyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString()
  }
}

/** Lower-case hexadecimal SHA-256 of the DER form; `undefined` when the text is no certificate. */
export const fingerprint = (certificatePem: string): string | undefined => {
  try {
    return fingerprintOf(new X509Certificate(certificatePem).raw)
  } catch {
    return undefined
  }
}

/** The same of the DER form. */
export const fingerprintOf = (der: Uint8Array): string => createHash("sha256").update(der).digest("hex")

const extensions = (subject: Subject): ReadonlyArray<Uint8Array> => [
  // Digital signature and key encipherment, the first and third bit.
  extension(OID.keyUsage, true, tlv(0x03, Uint8Array.of(5, 0xa0))),
  extension(OID.extendedKeyUsage, false, sequence(oid(OID.serverAuthentication))),
  extension(
    OID.subjectAlternativeName,
    false,
    sequence(
      ...subject.dnsNames.map((dnsName) => tlv(0x82, UTF8.encode(dnsName))),
      ...subject.addresses.map((address) => tlv(0x87, address))
    )
  )
]

const extension = (id: ReadonlyArray<number>, isCritical: boolean, value: Uint8Array): Uint8Array =>
  sequence(oid(id), ...(isCritical ? [tlv(0x01, Uint8Array.of(0xff))] : []), tlv(0x04, value))

const name = (organization: string): Uint8Array =>
  sequence(tlv(0x31, sequence(oid(OID.organization), tlv(0x0c, UTF8.encode(organization)))))

/** UTCTime before 2050, GeneralizedTime from then on (RFC 5280 §4.1.2.5). */
const time = (unixSeconds: number): Uint8Array => {
  const digits = new Date(unixSeconds * 1000).toISOString().replace(/[-:T]/g, "").slice(0, 14)
  return digits < "2050" ? tlv(0x17, UTF8.encode(`${digits.slice(2)}Z`)) : tlv(0x18, UTF8.encode(`${digits}Z`))
}

const sequence = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => tlv(0x30, ...parts)

const integer = (bytes: Uint8Array): Uint8Array => tlv(0x02, bytes)

/** Top bit clear and not zero, so that the bytes are a positive integer in their shortest form. */
const positive = (bytes: Uint8Array): Uint8Array => {
  bytes[0] = (bytes[0]! & 0x7f) | 0x40
  return bytes
}

const bitString = (bytes: Uint8Array): Uint8Array => tlv(0x03, Uint8Array.of(0), bytes)

const oid = (arcs: ReadonlyArray<number>): Uint8Array => {
  const [first = 0, second = 0, ...others] = arcs
  return tlv(0x06, Uint8Array.from([40 * first + second, ...others.flatMap(base128)]))
}

const base128 = (arc: number): ReadonlyArray<number> =>
  arc < 0x80 ? [arc] : [...base128(arc >>> 7).map((digit) => digit | 0x80), arc & 0x7f]

const tlv = (tag: number, ...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const body = Buffer.concat(parts)
  const length = body.length
  const header =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >>> 8, length & 0xff]
  return Buffer.concat([Uint8Array.from(header), body])
}

const pem = (label: string, der: Uint8Array): string => {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n")
}

const OID = {
  organization: [2, 5, 4, 10],
  keyUsage: [2, 5, 29, 15],
  subjectAlternativeName: [2, 5, 29, 17],
  extendedKeyUsage: [2, 5, 29, 37],
  serverAuthentication: [1, 3, 6, 1, 5, 5, 7, 3, 1],
  ecdsaWithSha256: [1, 2, 840, 10045, 4, 3, 2]
} as const
const UTF8 = new TextEncoder()
const ECDSA_SHA256 = sequence(oid(OID.ecdsaWithSha256))
const SERIAL_BYTES = 16
/** Ten years: clients look at the fingerprint, and a certificate that ends would only lock them out. */
const VALID_SECONDS = 3650 * 24 * 3600
