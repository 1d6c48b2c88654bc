/** What strangers and papers say about trust: invitations, and what hides in the text of a request. */
import { Result } from "effect"
import * as Base64Url from "../../../src/core/data/Base64Url.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Crc32 from "../../../src/core/data/Crc32.ts"
import * as Invitation from "../../../src/protocol/trust/Invitation.ts"
import * as InvitationClaim from "../../../src/protocol/trust/InvitationClaim.ts"
import * as NetworkClaim from "../../../src/protocol/trust/NetworkClaim.ts"
import * as NetworkNotice from "../../../src/protocol/trust/NetworkNotice.ts"
import * as NetworkToken from "../../../src/protocol/trust/NetworkToken.ts"
import * as Revocation from "../../../src/protocol/trust/Revocation.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import * as Corpus from "../Corpus.ts"
import * as Fuzzer from "../Fuzzer.ts"
import { assertSame } from "../Oracle.ts"

const WHOLE: Invitation.Invitation = {
  secret: new Uint8Array(16).fill(3),
  expiresAtSeconds: 1_800_000_000,
  publicKey: new Uint8Array(32).fill(4),
  node: NodeId(7),
  name: "mcp-host",
  registry: "rendezvous.example:9000",
  beacon: "rendezvous.example:9001",
  fingerprint: "ab".repeat(32),
  services: ["files", "notes"],
  hints: ["203.0.113.7:4000"]
}
const INVITATIONS = [
  WHOLE,
  { ...WHOLE, name: "", fingerprint: "", services: [], hints: [] },
  { ...WHOLE, name: "é☕", services: ["x".repeat(255)] }
].map(Invitation.encode)

const NETWORK = { publicKey: new Uint8Array(32).fill(7), number: 7, name: "fleet" }
const MEMBER = "0123-4567-89AB-CDEF-GHJK-MNPQ-RSTV-WXYZ"
const SIGNED = () => new Uint8Array(64).fill(8)
const TOKEN = NetworkToken.issue(
  { ...NETWORK, member: MEMBER, issuedAtSeconds: 1_800_000_000, expiresAtSeconds: 1_800_086_400 },
  SIGNED
)
const LIST = NetworkToken.revoke(
  { ...NETWORK, serial: 2, revoked: [1, 2].map((day) => ({ member: MEMBER, atSeconds: 1_800_000_000 + day })) },
  SIGNED
)
const NETWORK_TEXTS = [
  NetworkToken.encode(TOKEN),
  NetworkToken.encodeRevocations(LIST),
  NetworkToken.encodeRevocations({ ...LIST, revoked: [] }),
  `${NetworkClaim.format(MEMBER, TOKEN)} ${NetworkClaim.format(MEMBER, TOKEN)} please`,
  Bytes.toUtf8Lossy(
    NetworkNotice.encode({ node: NodeId(7), network: MEMBER, serial: 2, list: NetworkToken.encodeRevocations(LIST) })
  )
]

/** The bytes behind the prefix with a right checksum, so that mutations reach what stands behind it. */
const sealed = (bytes: Uint8Array): string => {
  const body = bytes.subarray(0, Math.max(0, bytes.length - 4))
  return `${Invitation.PREFIX}${Base64Url.encode(Bytes.concat(body, Bytes.ofU32(Crc32.checksum(body))))}`
}

const isBounded = ({ hints, name, services }: Invitation.Invitation): boolean =>
  services.length <= Invitation.SERVICES_MAX && hints.length <= 4 && Bytes.fromUtf8(name).length <= 255

const read = (text: string): unknown => {
  const decoded = Invitation.decode(text)
  if (Result.isFailure(decoded)) return decoded.failure._tag
  assertSame(Invitation.decode(Invitation.encode(decoded.success)), decoded, "an invitation changes when written")
  assertSame(isBounded(decoded.success), true, "an invitation beyond its bounds")
  assertSame(Invitation.isWritable(decoded.success), true, "what was read cannot be written")
  return decoded.success.node
}

/** Texts as people paste them, and bytes as whoever makes them up writes them. */
export const targets: ReadonlyArray<Fuzzer.Target> = [
  Fuzzer.decoder({
    name: "text/Invitation",
    covers: [Invitation.decode],
    samples: () => Corpus.texts(...INVITATIONS),
    decode: (bytes) => read(Bytes.toUtf8Lossy(bytes))
  }),
  Fuzzer.decoder({
    name: "text/Invitation bytes",
    covers: [],
    samples: () => INVITATIONS.map((text) => Base64Url.decode(text.slice(Invitation.PREFIX.length)) ?? Bytes.empty),
    decode: (bytes) => read(sealed(bytes))
  }),
  Fuzzer.decoder({
    name: "text/NetworkToken",
    covers: [NetworkToken.decode, NetworkToken.decodeRevocations, NetworkClaim.parse, NetworkNotice.decode],
    samples: () => Corpus.texts(...NETWORK_TEXTS),
    decode: (bytes) => {
      const text = Bytes.toUtf8Lossy(bytes)
      const token = NetworkToken.decode(text)
      if (token !== undefined)
        assertSame(NetworkToken.decode(NetworkToken.encode(token)), token, "a token changes when written")
      const list = NetworkToken.decodeRevocations(text)
      if (list !== undefined) {
        assertSame(list.revoked.length <= NetworkToken.REVOKED_MAX, true, "a list beyond its bounds")
        assertSame(
          NetworkToken.decodeRevocations(NetworkToken.encodeRevocations(list)),
          list,
          "a list changes when written"
        )
      }
      const shown = NetworkClaim.parse(text)
      assertSame(shown.claims.length <= NetworkClaim.CLAIMS_MAX, true, "more claims than networks")
      const notice = NetworkNotice.decode(bytes)
      if (notice !== undefined)
        assertSame(NetworkNotice.decode(NetworkNotice.encode(notice)), notice, "a notice changes when written")
      return [token?.member, list?.serial, shown.claims.length, notice?.serial]
    }
  }),
  Fuzzer.decoder({
    name: "text/Justification claims",
    covers: [InvitationClaim.parse, Revocation.parseNotice, Base64Url.decode],
    samples: () =>
      Corpus.texts(
        InvitationClaim.format({ id: "0123456789abcdef", proof: new Uint8Array(32).fill(5) }, "please"),
        Revocation.formatNotice({ atSeconds: 1_700_000_000, signature: new Uint8Array(64).fill(6) }),
        "share the tools"
      ),
    decode: (bytes) => {
      const text = Bytes.toUtf8Lossy(bytes)
      const carried = InvitationClaim.parse(text)
      if (carried !== undefined) {
        const again = InvitationClaim.parse(InvitationClaim.format(carried.claim, carried.text))
        assertSame(again, carried, "a claim changes when written")
      }
      const notice = Revocation.parseNotice(text)
      if (notice !== undefined)
        assertSame(Revocation.parseNotice(Revocation.formatNotice(notice)), notice, "a notice changes when written")
      const plain = Base64Url.decode(text)
      if (plain !== undefined) assertSame(Base64Url.encode(plain), text, "two spellings of the same bytes")
      return [carried?.claim.id, notice?.atSeconds]
    }
  })
]
