/** Wires a node's key: from its file, through what an earlier life has left undone, to the service that changes it. */
import { Clock, Effect, type FileSystem, type Path, type Scope } from "effect"
import { Crypto } from "../../core/crypto/Crypto.ts"
import type * as IdentityFile from "../../core/crypto/IdentityFile.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { KeyChain } from "../../protocol/identity/KeyChain.ts"
import type { ProtocolEvent } from "../../protocol/ProtocolEvent.ts"
import * as Fingerprint from "../../protocol/trust/Fingerprint.ts"
import * as KeyKeeper from "../identity/KeyKeeper.ts"
import * as OwnKeyState from "../identity/OwnKeyState.ts"
import type { OwnKeys } from "../identity/OwnKeys.ts"
import type { Member, Roster, Upright } from "../membership/Roster.ts"
import { type PublishedChain, type RegistryClient, RegistryError } from "../registry/RegistryClient.ts"
import { NodeError } from "./NodeError.ts"

/** The identity at `path`, made at the first start. */
export const load = (
  path: string
): Effect.Effect<OwnKeyState.OwnKeyState, NodeError, Crypto | FileSystem.FileSystem | Path.Path> =>
  Effect.mapError(OwnKeyState.load(path), (error) => {
    const isLocked = error.reason === "PassphraseNeeded" || error.reason === "WrongPassphrase"
    return new NodeError({
      reason: isLocked ? "IdentityLocked" : "IdentityUnusable",
      detail: `cannot use ${error.path}: ${error.detail}`,
      hint:
        HINTS[error.reason]?.(error.path) ??
        `restore ${error.path} from a backup, or move it away to start as a new node`
    })
  })

/**
 * Finishes a change of the key that was due when an earlier life ended: a registry that has moved refuses the old key, and
 * then the new one is the node's. Any other answer leaves the matter to the running node.
 */
export const resume = Effect.fn("IdentityLayer.resume")(function* (
  own: OwnKeyState.OwnKeyState,
  registry: RegistryClient["Service"]
): Effect.fn.Return<void, NodeError, Crypto | FileSystem.FileSystem | Path.Path> {
  const seconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  if (own.staged === undefined || OwnKeyState.dueSeconds(own.staged) > seconds) return
  const refusal = yield* Effect.match(registry.register({ listenAddress: ":0" }), {
    onFailure: ({ detail, reason }) => (reason === "Refused" ? detail : ""),
    onSuccess: () => ""
  })
  if (!refusal.includes(REPLACED)) return
  yield* Effect.mapError(
    OwnKeyState.promote(own),
    ({ detail, path }) =>
      new NodeError({
        reason: "IdentityUnusable",
        detail: `cannot write ${path}: ${detail}`,
        hint: "make room on the disk"
      })
  )
  yield* Effect.logWarning("the registry has moved to the new key of this node, and so does the node")
})

/** Starts the service over all memberships: home's registry decides, and none that answers may still wait. */
export const start = Effect.fn("IdentityLayer.start")(function* (
  own: OwnKeyState.OwnKeyState,
  roster: Roster,
  report: (event: ProtocolEvent) => void
): Effect.fn.Return<OwnKeys["Service"], never, Crypto | FileSystem.FileSystem | Path.Path | Scope.Scope> {
  const { sha256 } = yield* Crypto
  const fingerprint = (key: Uint8Array) => Fingerprint.format(sha256(key))
  const everywhere = (use: (up: Upright["up"]) => Effect.Effect<void>) =>
    Effect.suspend(() => Effect.forEach(roster.up(), ({ up }) => use(up), { discard: true }))
  const keeper = yield* KeyKeeper.make({
    state: own,
    publish: (chain) => Effect.suspend(() => publish(roster.all(), chain)),
    spread: (chain) => everywhere(({ spread }) => spread(chain)),
    renewTunnels: everywhere(({ renewTunnels }) => renewTunnels),
    moved: (key) => report({ _tag: "OwnKeyMoved", key: fingerprint(key) }),
    contested: (key) => report({ _tag: "OwnKeyContested", key: fingerprint(key) })
  })
  const look = Effect.suspend(() => {
    const heard = roster.all().flatMap((member) => member.heard)
    for (const member of roster.all()) member.heard = []
    return Effect.andThen(keeper.heard(heard), keeper.keys.look)
  })
  yield* Effect.forkScoped(Effect.forever(Effect.delay(look, LOOK_INTERVAL_MS)))
  return keeper.keys
})

/** A registry that is away learns of it when this node registers there again (`NodeOperations.register`). */
const publish = Effect.fnUntraced(function* (
  members: ReadonlyArray<Member>,
  chain: KeyChain
): Effect.fn.Return<PublishedChain, RegistryError> {
  const [home, ...others] = members
  if (home?.ownNode === undefined) return yield* Effect.fail(NOWHERE)
  const reply = yield* home.registry.publishKeyChain(home.ownNode, chain)
  const told = yield* Effect.forEach(
    others,
    ({ card, ownNode, registry }) =>
      ownNode === undefined
        ? Effect.undefined
        : Effect.catch(registry.publishKeyChain(ownNode, chain), ({ detail }) =>
            Effect.as(Effect.logWarning(`the rendezvous ${card.alias} was not told of a key: ${detail}`), undefined)
          ),
    { concurrency: "unbounded" }
  )
  const waiting = told.find((one) => one !== undefined && !Bytes.equals(one.publicKey, reply.publicKey))
  return waiting ?? reply
})

const NOWHERE = new RegistryError({
  reason: "Unavailable",
  operation: "publish_key_chain",
  detail: "this node is not registered yet"
})

/** How soon a change of the key that is due is made. */
const LOOK_INTERVAL_MS = 60_000
/** As the registry says it (`Registration`). */
const REPLACED = "this key was replaced"

/** Where the key itself is as good as it was. */
const HINTS: Readonly<Partial<Record<IdentityFile.IdentityError["reason"], (path: string) => string>>> = {
  TooOpen: (path) => `if nobody has copied it: chmod 600 ${path}`,
  PassphraseNeeded: () =>
    "give it by --passphrase-file FILE, PILOT_PASSPHRASE, a systemd credential pilot-passphrase, or on a terminal",
  WrongPassphrase: () => "the passphrase is the one that `pilotctl identity encrypt` was given",
  Unreadable: (path) => `make ${path} a file that this user can read`,
  NotWritable: () => "make room on the disk, or choose another state directory with PILOT_HOME"
}
