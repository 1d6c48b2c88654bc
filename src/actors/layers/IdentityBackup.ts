/**
 * A node's identity in one file under a passphrase (`SealedText`): the key with its chain, where it is registered, whom it
 * trusts in each membership, which keys it has pinned. Inside is a JSON object:
 *
 * ```
 * {"format": "effect-pilot backup", "version": 1, "created_at": <Unix seconds>, "encrypted_at_rest": true,
 *  "files": {"identity.key": "<the text in the clear>", "trust.json": "…", "pins.json": "…",
 *            "memberships.json": "…", "memberships/acme/trust.json": "…"}}
 * ```
 *
 * Nothing is restored before everything in it has been read and understood; the identity is written last, so an interrupted
 * restoration leaves no node that has lost its trust.
 */
import { Clock, Effect, FileSystem, type Path, Redacted, Result, Schema } from "effect"
import { Crypto } from "../../core/crypto/Crypto.ts"
import * as IdentityFile from "../../core/crypto/IdentityFile.ts"
import { Passphrase } from "../../core/crypto/Passphrase.ts"
import * as SealedText from "../../core/crypto/SealedText.ts"
import * as Json from "../../core/data/Json.ts"
import * as AtomicFile from "../../core/storage/AtomicFile.ts"
import * as PrivateDirectory from "../../core/storage/PrivateDirectory.ts"
import * as Identity from "../../protocol/trust/Identity.ts"
import * as ChainFile from "../trust/ChainFile.ts"
import * as PinFile from "../trust/PinFile.ts"
import * as StateText from "../trust/StateText.ts"
import * as TrustFile from "../trust/TrustFile.ts"
import * as MembershipFile from "./MembershipFile.ts"

/** Why a backup was not made, or not restored. Then nothing has changed. */
export class BackupError extends Schema.TaggedError<BackupError>()("BackupError", {
  reason: Schema.Literals([
    /** There is no identity to save. */
    "NoIdentity",
    /** A new key is announced: without it the backup would be of no use once that counts. */
    "InProgress",
    /** It cannot be read, is no backup, is damaged, or a part of it is. */
    "Unusable",
    "WrongPassphrase",
    /** The state directory has an identity, trust or pins already. */
    "Exists",
    "NotWritable"
  ]),
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** Where the files of one node are. */
export interface Places {
  readonly home: string
  readonly identity: string
}

/** What a backup holds. */
export interface Summary {
  readonly publicKey: Uint8Array
  readonly files: ReadonlyArray<string>
  readonly createdAtSeconds: number
  /** Restored, the identity is encrypted under the passphrase of the backup. */
  readonly isEncryptedAtRest: boolean
}

type Disk = Crypto | FileSystem.FileSystem | Path.Path

/** What is inside of one: each file by its name. */
interface Content extends Summary {
  readonly texts: Readonly<Record<string, string>>
}

/** Writes a backup of the identity that `key` was loaded from. Never over an existing file. */
export const make = Effect.fn("IdentityBackup.make")(function* (
  places: Places,
  path: string,
  passphrase: Redacted.Redacted<string>
): Effect.fn.Return<Summary, BackupError | IdentityFile.IdentityError, Disk> {
  const files = yield* FileSystem.FileSystem
  const crypto = yield* Crypto
  if (yield* Effect.orElseSucceed(files.exists(path), () => true))
    return yield* fail("Exists", `${path} exists already`)
  const loaded = yield* IdentityFile.load(places.identity, Identity)
  if (loaded === undefined) return yield* fail("NoIdentity", `there is no identity at ${places.identity}`)
  if (yield* Effect.orElseSucceed(files.exists(`${places.identity}.next`), () => true))
    return yield* fail(
      "InProgress",
      "a new key is announced for this node; make the backup when it counts, or cancel it"
    )
  const { chain, isSealed, key } = loaded
  const texts: Record<string, string> = { [IDENTITY]: Identity.encodeFile({ ...key, chain }) }
  for (const name of OTHERS) yield* take(places, name, texts)
  for (const name of partsOf(texts)) yield* take(places, name, texts)
  const createdAtSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  const content = {
    format: FORMAT,
    version: 1,
    created_at: createdAtSeconds,
    encrypted_at_rest: isSealed,
    files: texts
  }
  const { seal } = SealedText.sealer(crypto, Redacted.value(passphrase), PURPOSE)
  yield* AtomicFile.write(path, `${seal(JSON.stringify(content))}\n`, { mode: AtomicFile.OWNER_ONLY }).pipe(
    Effect.mapError(({ message }) => new BackupError({ reason: "NotWritable", detail: message }))
  )
  return { publicKey: key.publicKey, files: Object.keys(texts), createdAtSeconds, isEncryptedAtRest: isSealed }
})

/** Puts back what a backup holds. `force` replaces what is there; the caller holds the lock of the directory. */
export const restore = Effect.fn("IdentityBackup.restore")(function* (
  places: Places,
  path: string,
  passphrase: Redacted.Redacted<string>,
  force: boolean
): Effect.fn.Return<Summary, BackupError, Disk> {
  const content = yield* open(path, passphrase)
  if (!force) yield* refuseExisting(places)
  const crypto = yield* Crypto
  const { seal } = content.isEncryptedAtRest
    ? SealedText.sealer(crypto, Redacted.value(passphrase), IdentityFile.PURPOSE)
    : { seal: (text: string) => text }
  const notWritable = ({ message }: { readonly message: string }) =>
    new BackupError({ reason: "NotWritable", detail: message })
  const write = (name: string, text: string) =>
    Effect.mapError(AtomicFile.write(placeOf(places, name), text, { mode: AtomicFile.OWNER_ONLY }), notWritable)
  const files = yield* FileSystem.FileSystem
  // What another identity has left behind is not this one's.
  yield* Effect.ignore(files.remove(`${places.home}/memberships`, { recursive: true }))
  for (const name of OTHERS)
    if (content.texts[name] === undefined) yield* Effect.ignore(files.remove(placeOf(places, name)))
  for (const name of content.files.filter((one) => one !== IDENTITY)) {
    const { directory } = partOf(name) ?? {}
    if (directory !== undefined)
      yield* Effect.mapError(PrivateDirectory.make(`${places.home}/${directory}`), notWritable)
    yield* write(name, content.texts[name] ?? "")
  }
  yield* Effect.ignore(files.remove(`${places.identity}.next`))
  yield* write(IDENTITY, seal(content.texts[IDENTITY] ?? ""))
  return content
})

/** Reads a backup and everything in it, without changing anything. */
export const open = Effect.fn("IdentityBackup.open")(function* (
  path: string,
  passphrase: Redacted.Redacted<string>
): Effect.fn.Return<Content, BackupError, Crypto | FileSystem.FileSystem> {
  const files = yield* FileSystem.FileSystem
  const crypto = yield* Crypto
  const { size } = yield* Effect.mapError(files.stat(path), ({ message }) => unusable(message))
  if (Number(size) > BYTES_MAX) return yield* fail("Unusable", `${path} is too large for a backup`)
  const text = yield* Effect.mapError(files.readFileString(path), ({ message }) => unusable(message))
  const opened = SealedText.open(crypto, text, Redacted.value(passphrase), PURPOSE)
  if (Result.isFailure(opened)) {
    const reason = opened.failure === "WrongPassphrase" ? "WrongPassphrase" : "Unusable"
    return yield* fail(reason, `cannot open ${path}: ${SealedText.describe(opened.failure)}`)
  }
  const content = parse(opened.success.text, (seed) => crypto.signingKey(seed).publicKey)
  return content ?? (yield* fail("Unusable", `${path} is a backup of a later version, or a part of it is damaged`))
})

/** What is inside a backup; `undefined` when any part of it cannot be used. */
export const parse = (text: string, publicKeyOf: (seed: Uint8Array) => Uint8Array): Content | undefined => {
  const object = Json.parseObject(text)
  const members = object && Json.member(object, "files")
  if (object === undefined || !Json.isObject(members)) return undefined
  if (Json.string(object, "format") !== FORMAT || Json.integer(object, "version") !== 1) return undefined
  const names = Object.keys(members)
  const texts: Record<string, string> = {}
  for (const name of names) {
    const value = members[name]
    if (typeof value !== "string" || (name !== IDENTITY && readerOf(name)?.(value) !== true)) return undefined
    texts[name] = value
  }
  const parts = partsOf(texts)
  if (names.some((name) => partOf(name) !== undefined && !parts.includes(name))) return undefined
  const identity = Identity.decodeFile(texts[IDENTITY] ?? "", publicKeyOf)
  if (Result.isFailure(identity)) return undefined
  return {
    publicKey: identity.success.publicKey,
    files: names,
    createdAtSeconds: Json.integer(object, "created_at"),
    isEncryptedAtRest: Json.boolean(object, "encrypted_at_rest"),
    texts
  }
}

/** Encrypts the identity file, or decrypts it, in one replacement; false when it already was so. */
export const setSealed = Effect.fn("IdentityBackup.setSealed")(function* (
  path: string,
  passphrase: Redacted.Redacted<string>,
  sealed: boolean
): Effect.fn.Return<boolean, BackupError | IdentityFile.IdentityError, Disk> {
  const crypto = yield* Crypto
  const loaded = yield* Effect.provideService(IdentityFile.load(path, Identity), Passphrase, passphrase)
  if (loaded === undefined) return yield* fail("NoIdentity", `there is no identity at ${path}`)
  if (loaded.isSealed === sealed) return false
  const text = Identity.encodeFile({ ...loaded.key, chain: loaded.chain })
  const { seal } = SealedText.sealer(crypto, Redacted.value(passphrase), IdentityFile.PURPOSE)
  yield* IdentityFile.save(path, sealed ? seal(text) : text)
  return true
})

const refuseExisting = Effect.fnUntraced(function* (places: Places) {
  const files = yield* FileSystem.FileSystem
  for (const name of [IDENTITY, ...OTHERS] as const) {
    const place = placeOf(places, name)
    if (yield* Effect.orElseSucceed(files.exists(place), () => true))
      return yield* fail("Exists", `${place} exists already`)
  }
})

/** Reads a file into `texts`, if it is there. */
const take = Effect.fnUntraced(function* (places: Places, name: string, texts: Record<string, string>) {
  const text = yield* Effect.mapError(StateText.read(placeOf(places, name)), ({ message }) => unusable(message))
  if (text === undefined) return
  if (readerOf(name)?.(text) !== true) return yield* fail("Unusable", `${placeOf(places, name)} is damaged`)
  texts[name] = text
})

const fail = (reason: BackupError["reason"], detail: string) => Effect.fail(new BackupError({ reason, detail }))
const unusable = (detail: string) => new BackupError({ reason: "Unusable", detail })

/** `trust.json` stands beside the identity, wherever that is (node §2.5). */
const placeOf = ({ home, identity }: Places, name: string): string => {
  if (name === IDENTITY) return identity
  return name === "trust.json" ? `${identity.slice(0, identity.lastIndexOf("/"))}/${name}` : `${home}/${name}`
}

/** The files of the memberships that `texts` names, whether they are there or not. */
const partsOf = (texts: Readonly<Record<string, string>>): ReadonlyArray<string> => {
  const { cards = [] } = MembershipFile.decode(texts[MEMBERSHIPS] ?? "") ?? {}
  return cards.flatMap(({ alias }) => PARTS.map((part) => `memberships/${alias}/${part}`))
}

/** A name of such a file, taken apart. */
const partOf = (name: string) => {
  const match = /^(memberships\/[^/]+)\/([^/]+)$/.exec(name)
  const part = PARTS.find((one) => one === match?.[2])
  return match === null || part === undefined ? undefined : { directory: match[1]!, part }
}

const readerOf = (name: string): ((text: string) => boolean) | undefined => {
  const own = OTHERS.find((one) => one === name) ?? partOf(name)?.part
  return own && READERS[own]
}

/** Whether a file can be used, by the one who reads it. */
const READERS = {
  "trust.json": (text: string) => TrustFile.decode(text, 0) !== undefined,
  "chains.json": (text: string) => ChainFile.decode(text) !== undefined,
  "pins.json": (text: string) => PinFile.decode(text) !== undefined,
  "registry-pins.json": (text: string) => Json.parseObject(text) !== undefined,
  "memberships.json": (text: string) => MembershipFile.decode(text) !== undefined
}

const IDENTITY = "identity.key"
const MEMBERSHIPS = "memberships.json"
const OTHERS = ["trust.json", "chains.json", "pins.json", "registry-pins.json", MEMBERSHIPS] as const
/** What each further membership has of its own. */
const PARTS = ["trust.json", "chains.json", "pins.json"] as const
const FORMAT = "effect-pilot backup"
const PURPOSE = "backup"
/** Pins and trust of some ten thousand peers. */
const BYTES_MAX = 67_108_864
