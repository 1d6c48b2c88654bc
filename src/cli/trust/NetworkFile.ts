/**
 * The key of a network in a file of its operator: `{"network_key": "<base64 of seed and public key>", "name": …, "number": …,
 * "serial": …, "revoked": [{"fingerprint": …, "at": …}]}`, mode 0600. Whoever has it says who is a member.
 */
import { Effect, FileSystem, type Path } from "effect"
import type { SigningKey } from "../../core/crypto/Crypto.ts"
import * as NativeCrypto from "../../core/crypto/NativeCrypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import * as AtomicFile from "../../core/storage/AtomicFile.ts"
import * as Fingerprint from "../../protocol/trust/Fingerprint.ts"
import * as NetworkToken from "../../protocol/trust/NetworkToken.ts"
import * as CliError from "../CliError.ts"

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
  const files = yield* FileSystem.FileSystem
  if (yield* Effect.orElseSucceed(files.exists(path), () => true))
    return yield* CliError.make(
      "already_exists",
      `${path} exists already`,
      "a network's key is never written over anything"
    )
  const key = NativeCrypto.crypto.signingKey()
  // Two operators seldom come to the same one, and then --number helps.
  const drawn = (Bytes.readU16(NativeCrypto.crypto.sha256(key.publicKey), 0) % 65_535) + 1
  const content = { key, name, number: number ?? drawn, serial: 0, revoked: [] }
  yield* save(path, content)
  return content
})

/** Reads the file, which only its owner may read. */
export const read = Effect.fnUntraced(function* (
  path: string
): Effect.fn.Return<Content, CliError.CliError, FileSystem.FileSystem> {
  const files = yield* FileSystem.FileSystem
  const unreadable = ({ message }: { readonly message: string }) =>
    CliError.make(
      "not_found",
      `cannot read the network's key: ${message}`,
      "pilotctl network create NAME FILE makes one"
    )
  const { mode, size, type } = yield* Effect.mapError(files.stat(path), unreadable)
  if (type === "File" && (mode & 0o077) !== 0)
    return yield* CliError.make("permission_denied", `group or others may read ${path}`, `chmod 600 ${path}`)
  const text = Number(size) > BYTES_MAX ? "" : yield* Effect.mapError(files.readFileString(path), unreadable)
  return parse(text) ?? (yield* CliError.invalidArgument(`${path} holds no network's key, or a damaged one`))
})

/** Replaces it in one step. */
export const save = Effect.fnUntraced(function* (
  path: string,
  { key, name, number, revoked, serial }: Content
): Effect.fn.Return<void, CliError.CliError, Disk> {
  const text = JSON.stringify(
    {
      network_key: Bytes.toBase64(Bytes.concat(key.seed, key.publicKey)),
      fingerprint: fingerprintOf(key.publicKey),
      ...{ name, number, serial },
      revoked: revoked.map(({ atSeconds, member }) => ({ fingerprint: member, at: atSeconds }))
    },
    undefined,
    2
  )
  yield* Effect.mapError(AtomicFile.write(path, `${text}\n`, { mode: AtomicFile.OWNER_ONLY }), ({ message }) =>
    CliError.make("internal", `cannot write ${path}: ${message}`)
  )
})

/** As people compare it. */
export const fingerprintOf = (publicKey: Uint8Array): string =>
  Fingerprint.format(NativeCrypto.crypto.sha256(publicKey))

const parse = (text: string): Content | undefined => {
  const object = Json.parseObject(text) ?? {}
  const bytes = Bytes.fromBase64(Json.string(object, "network_key"))
  const [name, number] = [Json.string(object, "name"), Json.unsigned(object, "number", 16)]
  if (bytes?.length !== 64 || !NetworkToken.NAME.test(name) || number === 0) return undefined
  const key = NativeCrypto.crypto.signingKey(bytes.slice(0, 32))
  const revoked = Json.objects(object, "revoked").map((row) => ({
    member: Fingerprint.parse(Json.string(row, "fingerprint")) ?? "",
    atSeconds: Json.integer(row, "at")
  }))
  return Bytes.equals(key.publicKey, bytes.subarray(32))
    ? { key, name, number, serial: Json.unsigned(object, "serial", 32), revoked }
    : undefined
}

const BYTES_MAX = 65_536
