/**
 * Files to peers, from them, and shared with them (`docs/messages-and-files.md`). Transfers go on after breaks and restarts
 * of either side with what has arrived, and end when the receiver has the whole file, compared and on disk.
 */
import { Context, Effect, FileSystem, Layer, Path } from "effect"
import type { DialError } from "../actors/node/Node.ts"
import type { Dial } from "../actors/services/client/Attempts.ts"
import * as PullFile from "../actors/services/client/PullFile.ts"
import * as SendFile from "../actors/services/client/SendFile.ts"
import * as SendTree from "../actors/services/client/SendTree.ts"
import { TransferError } from "../actors/services/client/TransferError.ts"
import * as DataExchange from "../actors/services/DataExchange.ts"
import * as FileShares from "../actors/services/FileShares.ts"
import * as Mailbox from "../actors/services/Mailbox.ts"
import * as Provided from "../core/actor/Provided.ts"
import type { Crypto } from "../core/crypto/Crypto.ts"
import type { DirectoryLock } from "../core/storage/DirectoryLock.ts"
import type { Entry } from "../protocol/wire/ExchangeRequest.ts"
import { Pilot, type PilotError } from "./PilotService.ts"

export type { Pulled } from "../actors/services/client/PullFile.ts"
export type { Progress } from "../actors/services/client/SendFile.ts"
export { TransferError } from "../actors/services/client/TransferError.ts"
export { type Share, ShareError } from "../actors/services/FileShares.ts"
export type { Received } from "../actors/services/Mailbox.ts"
export { MailboxError } from "../actors/services/Mailbox.ts"
export type { Entry } from "../protocol/wire/ExchangeRequest.ts"

/** How a transfer is done. */
export interface TransferOptions {
  /** How far it is, many times a second; it must not take long. */
  readonly progress?: (progress: SendFile.Progress) => Effect.Effect<void>
}

/** How a file is pulled. */
export interface GetOptions extends TransferOptions {
  /** Replace a file of another content. */
  readonly force?: boolean
}

/** Whom something is shared with. */
export interface ShareOptions {
  /** Peers by name, address or number; their keys of now count. */
  readonly allow?: ReadonlyArray<string>
  /** Every trusted peer. */
  readonly allowTrusted?: boolean
  /** What peers call it; its own name unless told otherwise. */
  readonly name?: string
}

/** What was sent. */
export interface Sent {
  readonly sizeBytes: number
  readonly files: number
  /** The acknowledgement of a file, as the reference words it. */
  readonly ack: string | undefined
}

type Failure = DialError | PilotError | TransferError

/** Files of a node and of its peers. */
export class Files extends Context.Service<
  Files,
  {
    /** A file or a directory; returns when the peer has all of it on disk. */
    readonly send: (target: string, path: string, options?: TransferOptions) => Effect.Effect<Sent, Failure>
    /** What the peer shares with this node; or what is in `NAME/path`. */
    readonly list: (target: string, path?: string) => Effect.Effect<ReadonlyArray<Entry>, Failure>
    /** Pulls `NAME` or `NAME/path` to exactly this path. */
    readonly get: (
      target: string,
      remote: string,
      destination: string,
      options?: GetOptions
    ) => Effect.Effect<PullFile.Pulled, Failure>
    /** Lets peers pull a file or a directory. Nobody may who is not named. */
    readonly share: (
      path: string,
      options: ShareOptions
    ) => Effect.Effect<FileShares.Share, FileShares.ShareError | DialError | PilotError>
    readonly unshare: (nameOrPath: string) => Effect.Effect<void, FileShares.ShareError>
    readonly shares: Effect.Effect<ReadonlyArray<FileShares.Share>, FileShares.ShareError>
    /** What peers have sent. */
    readonly received: Effect.Effect<ReadonlyArray<Mailbox.Received>, Mailbox.MailboxError>
    /** Takes all of it away; how many there were. */
    readonly clearReceived: Effect.Effect<number, Mailbox.MailboxError>
  }
>()("effect-pilot/api/Files") {}

type Needs = Crypto | DirectoryLock | FileSystem.FileSystem | Path.Path

/** Over any `Pilot`, with the state directory of its node. */
export const make = Effect.fnUntraced(function* (
  home: string
): Effect.fn.Return<Files["Service"], never, Needs | Pilot> {
  const services = yield* Provided.services<Needs>()
  const pilot = yield* Pilot
  const paths = yield* Path.Path
  const dial = (target: string): Dial<DialError | PilotError> =>
    Effect.map(pilot.dial(target, DataExchange.PORT), ({ duplex }) => duplex)
  const here = <A, E>(effect: Effect.Effect<A, E, Needs>) => Effect.provideContext(effect, services)
  const allowed = (peer: string) =>
    Effect.map(pilot.resolve(peer), ({ address, hostname, node, publicKey }) => ({
      node,
      publicKey,
      name: hostname || address
    }))
  return {
    send: Effect.fn("Files.send")(function* (target, path, options) {
      const files = Context.get(services, FileSystem.FileSystem)
      const { type } = yield* Effect.mapError(files.stat(path), SendFile.unreadable)
      const what = { path, name: paths.basename(paths.resolve(path)), progress: options?.progress }
      if (type === "Directory") {
        const sent = yield* here(SendTree.send(dial(target), what))
        return { sizeBytes: sent.sizeBytes, files: sent.files, ack: undefined }
      }
      return { ...(yield* here(SendFile.send(dial(target), what))), files: 1 }
    }),
    list: Effect.fn("Files.list")(function* (target, path) {
      return yield* PullFile.list(dial(target), path ?? "")
    }),
    get: Effect.fn("Files.get")(function* (target, remote, destination, options) {
      if (remote === "") return yield* new TransferError({ reason: "NotFound", detail: "which file?" })
      return yield* here(PullFile.pull(dial(target), { remote, destination: paths.resolve(destination), ...options }))
    }),
    share: Effect.fn("Files.share")(function* (path, options) {
      const peers = yield* Effect.forEach(options.allow ?? [], allowed)
      const nowMs = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
      return yield* here(
        FileShares.add(home, {
          path,
          name: options.name,
          allowed: peers,
          allowTrusted: options.allowTrusted === true,
          nowSeconds: Math.floor(nowMs / 1000)
        })
      )
    }),
    unshare: (nameOrPath) => Effect.asVoid(here(FileShares.remove(home, nameOrPath))),
    shares: here(FileShares.load(home)),
    received: Effect.map(here(Mailbox.received(home)), (received) => received ?? []),
    clearReceived: Effect.map(here(Mailbox.clearReceived(home)), (cleared) => cleared ?? 0)
  }
})

/** The service for a state directory. */
export const layer = (home: string): Layer.Layer<Files, never, Needs | Pilot> => Layer.effect(Files, make(home))

/** See `Files`. */
export const send = (target: string, path: string, options?: TransferOptions): Effect.Effect<Sent, Failure, Files> =>
  Effect.flatMap(Files, (files) => files.send(target, path, options))

/** See `Files`. */
export const list = (target: string, path?: string): Effect.Effect<ReadonlyArray<Entry>, Failure, Files> =>
  Effect.flatMap(Files, (files) => files.list(target, path))

/** See `Files`. */
export const get = (
  target: string,
  remote: string,
  destination: string,
  options?: GetOptions
): Effect.Effect<PullFile.Pulled, Failure, Files> =>
  Effect.flatMap(Files, (files) => files.get(target, remote, destination, options))

/** See `Files`. */
export const share = (
  path: string,
  options: ShareOptions
): Effect.Effect<FileShares.Share, FileShares.ShareError | DialError | PilotError, Files> =>
  Effect.flatMap(Files, (files) => files.share(path, options))

/** See `Files`. */
export const unshare = (nameOrPath: string): Effect.Effect<void, FileShares.ShareError, Files> =>
  Effect.flatMap(Files, (files) => files.unshare(nameOrPath))

/** See `Files`. */
export const shares: Effect.Effect<ReadonlyArray<FileShares.Share>, FileShares.ShareError, Files> = Effect.flatMap(
  Files,
  (files) => files.shares
)

/** See `Files`. */
export const received: Effect.Effect<ReadonlyArray<Mailbox.Received>, Mailbox.MailboxError, Files> = Effect.flatMap(
  Files,
  (files) => files.received
)

/** See `Files`. */
export const clearReceived: Effect.Effect<number, Mailbox.MailboxError, Files> = Effect.flatMap(
  Files,
  (files) => files.clearReceived
)
