/**
 * The key of a network in a file of its operator: `{"network_key": "<base64 of seed and public key>", "name": …, "number": …,
 * "serial": …, "revoked": [{"fingerprint": …, "at": …}]}`, mode 0600. Whoever has it says who is a member.
 */
import { Effect, type FileSystem, type Path } from "effect"
import type { SigningKey } from "../../core/crypto/Crypto.ts"
import * as NativeCrypto from "../../core/crypto/NativeCrypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import * as Fingerprint from "../../protocol/trust/Fingerprint.ts"
import * as NetworkToken from "../../protocol/trust/NetworkToken.ts"
import type * as CliError from "../CliError.ts"
import * as KeyFile from "../KeyFile.ts"

/** What the file holds. */
export interface Content {
  readonly key: SigningKey
  readonly name: string
  readonly number: number
  /** Of the newest list; 0 before the first. */
  readonly serial: number
  readonly revoked: ReadonlyArray<NetworkToken.Revoked>
}

type Disk = FileSystem.FileSystem | Path.Path

/** A network that nobody is in yet. Never over another file. */
export const create = Effect.fnUntraced(function* (
  path: string,
  name: string,
  number: number | undefined
): Effect.fn.Return<Content, CliError.CliError, Disk> {
  yield* KeyFile.unlessThere(path, WHAT)
  const key = NativeCrypto.crypto.signingKey()
  // Two operators seldom come to the same one, and then --number helps.
  const drawn = (Bytes.readU16(NativeCrypto.crypto.sha256(key.publicKey), 0) % 65_535) + 1
  const content = { key, name, number: number ?? drawn, serial: 0, revoked: [] }
  yield* save(path, content)
  return content
})

/** Reads the file, which only its owner may read. */
export const read = (path: string): Effect.Effect<Content, CliError.CliError, FileSystem.FileSystem> =>
  KeyFile.read(path, { what: WHAT, bytesMax: BYTES_MAX, hint: "pilotctl network create NAME FILE makes one", parse })

/** Replaces it in one step. */
export const save = (
  path: string,
  { key, name, number, revoked, serial }: Content
): Effect.Effect<void, CliError.CliError, Disk> =>
  KeyFile.write(path, {
    network_key: KeyFile.encode(key),
    fingerprint: KeyFile.fingerprintOf(key.publicKey),
    ...{ name, number, serial },
    revoked: revoked.map(({ atSeconds, member }) => ({ fingerprint: member, at: atSeconds }))
  })

const parse = (text: string): Content | undefined => {
  const object = Json.parseObject(text) ?? {}
  const [name, number] = [Json.string(object, "name"), Json.unsigned(object, "number", 16)]
  const key = KeyFile.decode(Json.string(object, "network_key"))
  if (key === undefined || !NetworkToken.NAME.test(name) || number === 0) return undefined
  const revoked = Json.objects(object, "revoked").map((row) => ({
    member: Fingerprint.parse(Json.string(row, "fingerprint")) ?? "",
    atSeconds: Json.integer(row, "at")
  }))
  return { key, name, number, serial: Json.unsigned(object, "serial", 32), revoked }
}

const WHAT = "network's key"
const BYTES_MAX = 65_536
