/**
 * What a node says of itself on its local network, as strings of one TXT record of DNS-SD (RFC 6763 §6) below
 * `_pilot._udp.local` (ours: wire §17). Its key signs it, so that nobody can say where somebody else is.
 *
 * ```
 * v=1  id=<node id>  rv=<16 hex: which registry gave the id>  key=<base64 of the Ed25519 key>
 * at=<unix seconds>  to=<ip:port>[,<ip:port>…]  name=<hostname, of a public node>  sig=<base64>
 * ```
 */
import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Endpoint from "../../core/data/Endpoint.ts"
import { NodeId } from "./Address.ts"
import * as DecodeError from "./DecodeError.ts"

/** Everything but the signature. */
export interface LanAnnouncement {
  readonly node: NodeId
  /** Which registry the id is of: the first 8 bytes of a hash, in hexadecimal. Ids of others mean other nodes. */
  readonly registry: string
  readonly publicKey: Uint8Array
  readonly unixSeconds: number
  readonly endpoints: ReadonlyArray<Endpoint.Endpoint>
  /** As it calls itself; for people, and believed by nobody. */
  readonly name: string
}

/** With its signature, which is to be checked. */
export interface Signed {
  readonly announcement: LanAnnouncement
  readonly signature: Uint8Array
}

/** What is signed. */
export const signedText = ({ endpoints, name, node, registry, unixSeconds }: LanAnnouncement): string =>
  `pilot-lan-v1|${node}|${registry}|${unixSeconds}|${endpoints.map(Endpoint.format).join(",")}|${name}`

/** The strings of the record; endpoints beyond `ENDPOINTS_MAX` are left out before anything is signed. */
export const encode = ({ announcement, signature }: Signed): ReadonlyArray<string> => [
  "v=1",
  `id=${announcement.node}`,
  `rv=${announcement.registry}`,
  `key=${Bytes.toBase64(announcement.publicKey)}`,
  `at=${announcement.unixSeconds}`,
  `to=${announcement.endpoints.map(Endpoint.format).join(",")}`,
  ...(announcement.name === "" ? [] : [`name=${announcement.name}`]),
  `sig=${Bytes.toBase64(signature)}`
]

/** Reads the strings of a record; unknown ones are ignored. */
export const decode = (texts: ReadonlyArray<string>): Result.Result<Signed, DecodeError.DecodeError> => {
  if (texts.length > TEXTS_MAX) return DecodeError.limitExceeded(TEXTS_MAX, texts.length)
  const long = texts.find((text) => text.length > TEXT_CHARACTERS_MAX)
  if (long !== undefined) return DecodeError.limitExceeded(TEXT_CHARACTERS_MAX, long.length)
  const members = new Map(texts.map((text) => [text.split("=", 1)[0]!, text.slice(text.indexOf("=") + 1)]))
  const member = (name: string) => members.get(name) ?? ""
  if (member("v") !== "1") return DecodeError.unsupportedVersion(Number(member("v")) || 0)
  const [id, at] = [member("id"), member("at")].map((digits) => (/^[0-9]{1,10}$/.test(digits) ? Number(digits) : -1))
  if (id! < 1 || id! > NODE_MAX) return DecodeError.malformed("id")
  if (at! < 0) return DecodeError.malformed("at")
  if (!/^[0-9a-f]{16}$/.test(member("rv"))) return DecodeError.malformed("rv")
  if (!/^[a-z0-9-]{0,63}$/.test(member("name"))) return DecodeError.malformed("name")
  const publicKey = Bytes.fromBase64(member("key"))
  const signature = Bytes.fromBase64(member("sig"))
  if (publicKey?.length !== KEY_BYTES) return DecodeError.malformed("key")
  if (signature?.length !== SIGNATURE_BYTES) return DecodeError.malformed("sig")
  const places = member("to").split(",")
  const endpoints = places.map(Endpoint.parse)
  if (places.length > ENDPOINTS_MAX || !endpoints.every((endpoint) => endpoint !== undefined && endpoint.port > 0))
    return DecodeError.malformed("to")
  return Result.succeed({
    announcement: {
      node: NodeId(id!),
      registry: member("rv"),
      publicKey,
      unixSeconds: at!,
      endpoints: endpoints.filter((endpoint) => endpoint !== undefined),
      name: member("name")
    },
    signature
  })
}

/** Below which records of nodes are found. */
export const SERVICE = "_pilot._udp.local"
/** Places of one node. */
export const ENDPOINTS_MAX = 4
/** Strings of one record. */
export const TEXTS_MAX = 16
/** RFC 6763 §6.1. */
export const TEXT_CHARACTERS_MAX = 255
const NODE_MAX = 0xffff_ffff
const KEY_BYTES = 32
const SIGNATURE_BYTES = 64
