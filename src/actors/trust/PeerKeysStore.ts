/** `PeerKeys` over `pins.json` in the state directory: pins survive restarts, or the next best key could take a place. */
import { Effect, type FileSystem, Layer, type Path, Result, Schema, type Scope, Semaphore } from "effect"
import * as Provided from "../../core/actor/Provided.ts"
import { Crypto } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as AtomicFile from "../../core/storage/AtomicFile.ts"
import * as Fingerprint from "../../protocol/trust/Fingerprint.ts"
import * as PinTable from "../../protocol/trust/PinTable.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import * as ChainFile from "./ChainFile.ts"
import * as PeerChains from "./PeerChains.ts"
import { KeyChanged, NameMoved, PeerKeys } from "./PeerKeys.ts"
import * as PinFile from "./PinFile.ts"
import * as StateText from "./StateText.ts"

/**
 * The file is there but cannot be used. The node does not start without its pins and never overwrites them; a person
 * restores the file, or deletes it and so accepts whatever keys come next.
 */
export class PinsUnreadable extends Schema.TaggedError<PinsUnreadable>()("PinsUnreadable", {
  path: Schema.String,
  detail: Schema.String
}) {}

/** Room for pins of peers that are not trusted; the oldest make room. */
export interface Limits {
  readonly nodesMax: number
  readonly namesMax: number
  /** Identities remembered to have left the earlier key scheme. */
  readonly laterMax: number
}

/** Pins kept unless configured otherwise: a file of some 1.6 MB at most, written at each first use. */
export const DEFAULT_LIMITS: Limits = { nodesMax: 4096, namesMax: 4096, laterMax: 16_384 }

/** Where pins outlive the process. */
export interface PinStore {
  readonly load: Effect.Effect<PinTable.PinTable, PinsUnreadable>
  readonly save: (table: PinTable.PinTable) => Effect.Effect<void, { readonly message: string }>
}

/** The service over a file. */
export const layer = (
  path: string,
  limits: Limits = DEFAULT_LIMITS
): Layer.Layer<PeerKeys, PinsUnreadable, Crypto | FileSystem.FileSystem | Path.Path> =>
  Layer.effect(
    PeerKeys,
    Effect.gen(function* () {
      const beside = `${path.slice(0, path.lastIndexOf("/"))}/chains.json`
      const chains = yield* ChainFile.store(beside, (detail) => new PinsUnreadable({ path: beside, detail }))
      return yield* make(yield* file(path), limits, chains)
    })
  )

/** The service without a file: pins last as long as the process. */
export const layerMemory = (limits: Limits = DEFAULT_LIMITS): Layer.Layer<PeerKeys, never, Crypto> =>
  Layer.effect(PeerKeys, Effect.orDie(make(MEMORY, limits)))

/** The service over any store. What the packet path has noted is written at the latest when the scope closes. */
export const make = Effect.fn("PeerKeysStore.make")(function* (
  store: PinStore,
  limits: Limits,
  chainStore: PeerChains.ChainStore<PinsUnreadable> = PeerChains.MEMORY
): Effect.fn.Return<PeerKeys["Service"], PinsUnreadable, Crypto | Scope.Scope> {
  const crypto = yield* Crypto
  const services = yield* Provided.services<never>()
  const writing = yield* Semaphore.make(1)
  let stored = yield* store.load
  let table = stored
  let trusted: ReadonlyMap<NodeId, Uint8Array> = new Map()
  let trustedTexts: ReadonlySet<string> = new Set()
  const bounds: PinTable.Bounds = { ...limits, isProtected: (publicKey) => trustedTexts.has(Bytes.toHex(publicKey)) }
  const fingerprint = (publicKey: Uint8Array) => Fingerprint.format(crypto.sha256(publicKey))

  // Whoever waited for the writer finds its own pin in the file already when another wrote both.
  const persist = Effect.suspend(() => {
    const next = table
    return next === stored
      ? Effect.void
      : Effect.map(store.save(next), () => {
          stored = next
        })
  }).pipe(
    writing.withPermit,
    Effect.catch((error) => Effect.logError("pins hold for this run only; they could not be written", error.message))
  )
  const amend = (
    pinned: Result.Result<PinTable.PinTable, PinTable.OtherKeyPinned>
  ): Effect.Effect<void, PinTable.OtherKeyPinned> => {
    if (Result.isFailure(pinned)) return Effect.fail(pinned.failure)
    table = pinned.success
    return persist
  }

  const chains = yield* PeerChains.make(crypto, chainStore, {
    pinned: (node) => table.nodes.get(node),
    isProtected: bounds.isProtected,
    move: (node, publicKey) =>
      Effect.suspend(() => {
        table = PinTable.acceptKey(table, node, Bytes.copy(publicKey))
        return persist
      })
  })
  const pinNode = (node: NodeId, publicKey: Uint8Array) =>
    Effect.suspend(() => {
      const rival = chains.rival(node)
      if (rival !== undefined) return Effect.fail({ pinned: table.nodes.get(node) ?? rival, offered: rival })
      const isFirst = !table.nodes.has(node)
      const pinned = amend(PinTable.pinNode(table, node, Bytes.copy(publicKey), bounds))
      const pinnedOr = Effect.mapError(pinned, (error) => ({ ...error, offered: publicKey }))
      return isFirst ? Effect.andThen(pinnedOr, chains.begun(node, publicKey)) : pinnedOr
    })
  yield* Effect.addFinalizer(() => persist)
  return {
    chains,
    pinned: (node) => table.nodes.get(node),
    names: () => table.names,
    guess: (name) => PinTable.nodeBehind(table, name),
    isTrusted: (node) => {
      const [pinned, key] = [table.nodes.get(node), trusted.get(node)]
      const isSame = pinned !== undefined && key !== undefined && Bytes.equals(pinned, key)
      return isSame && chains.standings().get(node)?.fork === undefined
    },
    pinNode: (node, publicKey) =>
      Effect.mapError(
        pinNode(node, publicKey),
        ({ offered, pinned }) =>
          new KeyChanged({ node, pinnedFingerprint: fingerprint(pinned), offeredFingerprint: fingerprint(offered) })
      ),
    pinName: (name, publicKey) =>
      Effect.suspend(() => amend(PinTable.pinName(table, name, Bytes.copy(publicKey), bounds))).pipe(
        Effect.mapError(
          ({ pinned }) =>
            new NameMoved({
              name,
              pinnedFingerprint: fingerprint(pinned),
              offeredFingerprint: fingerprint(publicKey)
            })
        )
      ),
    acceptKey: (node, publicKey, name) =>
      Effect.suspend(() => {
        const key = Bytes.copy(publicKey)
        const former = table.nodes.get(node)
        const accepted = PinTable.acceptKey(table, node, key)
        table = name === undefined ? accepted : PinTable.acceptName(accepted, name, key)
        return Effect.andThen(persist, chains.decided(node, key, former))
      }),
    isLaterOnly: (publicKey) => table.laterOnly.has(Bytes.toHex(publicKey)),
    laterOpened: (publicKey) => {
      const noted = PinTable.laterOpened(table, publicKey, bounds)
      if (noted === table) return
      table = noted
      Effect.runForkWith(services)(persist)
    },
    setTrusted: (next) => {
      trusted = next
      trustedTexts = new Set(Array.from(next.values(), Bytes.toHex))
    }
  }
})

/** A file only its owner can read. */
export const file = Effect.fn("PeerKeysStore.file")(function* (
  path: string
): Effect.fn.Return<PinStore, never, FileSystem.FileSystem | Path.Path> {
  const services = yield* Provided.services<FileSystem.FileSystem | Path.Path>()
  const unreadable = (detail: string) => Effect.fail(new PinsUnreadable({ path, detail }))
  return {
    load: StateText.read(path).pipe(
      Effect.catch((error) => unreadable(error.message)),
      Effect.flatMap((text) => {
        const table = text === undefined ? PinTable.empty : PinFile.decode(text)
        return table === undefined ? unreadable(DAMAGED) : Effect.succeed(table)
      }),
      Effect.provide(services)
    ),
    save: (table) =>
      AtomicFile.write(path, PinFile.encode(table), { mode: AtomicFile.OWNER_ONLY }).pipe(Effect.provide(services))
  }
})

const MEMORY: PinStore = { load: Effect.succeed(PinTable.empty), save: () => Effect.void }

const DAMAGED = "it is damaged; restore it, or delete it and compare every fingerprint again"
