/**
 * This node's key on disk. `identity.key` holds the present one with its chain; `identity.key.next`, while a change is under way,
 * the whole file that is to replace it. The replacement is one renaming, so whenever the process dies there is the old
 * identity or the new one, and the next start knows which.
 */
import { Effect, FileSystem, type Path } from "effect"
import type { Crypto, SigningKey } from "../../core/crypto/Crypto.ts"
import * as IdentityFile from "../../core/crypto/IdentityFile.ts"
import { ReplaceableKey } from "../../core/crypto/ReplaceableKey.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as KeyChain from "../../protocol/identity/KeyChain.ts"
import * as KeyHistory from "../../protocol/identity/KeyHistory.ts"
import * as KeyStanding from "../../protocol/identity/KeyStanding.ts"
import * as Identity from "../../protocol/trust/Identity.ts"

/** A key that is to follow. */
export interface Staged {
  readonly key: SigningKey
  /** With the statement that names it. */
  readonly chain: KeyChain.KeyChain
}

/** Mutable; owned by `KeyKeeper`, which alone changes it once the node runs. */
export interface OwnKeyState {
  readonly path: string
  /** The present key, for everybody who signs. */
  readonly key: ReplaceableKey
  readonly seal: (text: string) => string
  chain: KeyChain.KeyChain
  staged: Staged | undefined
}

type Disk = Crypto | FileSystem.FileSystem | Path.Path

/** Loads the identity, or makes one, and finds out what an earlier life has left. */
export const load = Effect.fn("OwnKeyState.load")(function* (
  path: string
): Effect.fn.Return<OwnKeyState, IdentityFile.IdentityError, Disk> {
  const loaded = yield* IdentityFile.loadOrCreate(path, Identity)
  const chain = yield* chainOf(path, loaded.chain)
  const self: OwnKeyState = { path, key: new ReplaceableKey(loaded.key), seal: loaded.seal, chain, staged: undefined }
  const next = yield* IdentityFile.load(nextOf(path), Identity)
  if (next === undefined) return self
  const staged = { key: next.key, chain: yield* chainOf(nextOf(path), next.chain) }
  if (isOver(self, staged)) yield* forget(self)
  else self.staged = staged
  return self
})

/** Puts a key in waiting, on disk. */
export const stage = (self: OwnKeyState, staged: Staged): Effect.Effect<void, IdentityFile.IdentityError, Disk> =>
  IdentityFile.save(nextOf(self.path), self.seal(textOf(staged.key, staged.chain))).pipe(
    Effect.andThen(
      Effect.sync(() => {
        self.staged = staged
      })
    )
  )

/** The key in waiting takes the place of the present one: on disk first, then for everybody who signs. */
export const promote = Effect.fn("OwnKeyState.promote")(function* (
  self: OwnKeyState
): Effect.fn.Return<void, IdentityFile.IdentityError, Disk> {
  const { staged } = self
  if (staged === undefined) return
  yield* IdentityFile.save(self.path, self.seal(textOf(staged.key, staged.chain)))
  self.chain = staged.chain
  self.key.replace(staged.key)
  yield* forget(self)
})

/** Other statements about the present key; a key in waiting is given up. */
export const amend = Effect.fn("OwnKeyState.amend")(function* (
  self: OwnKeyState,
  chain: KeyChain.KeyChain
): Effect.fn.Return<void, IdentityFile.IdentityError, Disk> {
  yield* IdentityFile.save(self.path, self.seal(textOf(self.key, chain)))
  self.chain = chain
  yield* forget(self)
})

/** What others are to know. */
export const published = (self: OwnKeyState): KeyChain.KeyChain => self.staged?.chain ?? self.chain

/** The standing of the present key by its own chain: what the node itself has said counts at once. */
export const standing = (self: OwnKeyState, verify: Crypto["Service"]["verify"], nowSeconds: number) => {
  const begun = KeyHistory.begin(self.key.publicKey)
  // Without what it has announced: that is for others to wait for.
  const settled = self.chain.filter(({ key, kind }) => kind === "enrol" || !Bytes.equals(key, self.key.publicKey))
  const history = KeyHistory.learn(begun, settled, { atSeconds: nowSeconds, isFirst: true, verify })
  return KeyStanding.at(history, nowSeconds)
}

/** When the key in waiting can count: at once by the word of the recovery key, else seven days after its making. */
export const dueSeconds = ({ chain, key }: Staged): number => {
  const links = chain.filter(({ kind, next }) => kind === "rotate" && Bytes.equals(next, key.publicKey))
  return Math.min(
    ...links.map(({ signer, unixSeconds }) => unixSeconds + (signer === "recovery" ? 0 : KeyStanding.WAIT_SECONDS))
  )
}

/** Its replacement was the last thing an earlier life did, or it was taken back. */
const isOver = (self: OwnKeyState, { key }: Staged): boolean =>
  Bytes.equals(key.publicKey, self.key.publicKey) ||
  self.chain.some(({ kind, next }) => kind === "cancel" && Bytes.equals(next, key.publicKey))

const forget = (self: OwnKeyState): Effect.Effect<void, never, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (files) => Effect.ignore(files.remove(nextOf(self.path)))).pipe(
    Effect.andThen(
      Effect.sync(() => {
        self.staged = undefined
      })
    )
  )

const textOf = (key: SigningKey, chain: KeyChain.KeyChain): string =>
  Identity.encodeFile({ seed: key.seed, publicKey: key.publicKey, chain: KeyChain.toText(chain) })

const chainOf = (path: string, text: string): Effect.Effect<KeyChain.KeyChain, IdentityFile.IdentityError> => {
  const chain = KeyChain.parse(text)
  return chain === undefined
    ? Effect.fail(new IdentityFile.IdentityError({ reason: "Malformed", path, detail: "its key_chain is damaged" }))
    : Effect.succeed(chain)
}

const nextOf = (path: string): string => `${path}.next`
