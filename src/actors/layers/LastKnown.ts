/**
 * What a membership knew when it last ran, in `last-known.json`: the address that its registry gave this node, the UDP port, and
 * where peers were met directly. A node starts with it, and finds peers again, while the rendezvous is away.
 *
 * Nothing in it is believed: a registry that answers says otherwise, and a peer has to show its pinned key wherever it is
 * looked for. A file that cannot be read is as good as none.
 */
import { Clock, Effect, type FileSystem, Option, type Path, Schema } from "effect"
import * as Provided from "../../core/actor/Provided.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Endpoint from "../../core/data/Endpoint.ts"
import * as JsonFile from "../../core/storage/JsonFile.ts"
import type { Address, NodeId } from "../../protocol/wire/Address.ts"
import * as AddressOf from "../../protocol/wire/Address.ts"
import type { PeerStatus } from "../node/Node.ts"

/** The file and its content. */
export interface LastKnown {
  /** The address of this node, if the same registry gave it to the same key. */
  readonly address: Address | undefined
  /** The UDP port that it had. */
  readonly port: number | undefined
  /** Where a peer was, if it was there under this key. */
  readonly place: (node: NodeId, publicKey: Uint8Array | undefined) => Endpoint.Endpoint | undefined
  /** The registry has given this address; the node listens at this port. */
  readonly registered: (address: Address, port: number) => Effect.Effect<void>
  /** The peers of now: those that are reached directly, by a frame that opened, are remembered. */
  readonly met: (peers: ReadonlyArray<PeerStatus>) => Effect.Effect<void>
}

/** Of the registry and the key of this node; what is of another one is forgotten. */
export const make = Effect.fnUntraced(function* (
  path: string,
  registry: string,
  publicKey: Uint8Array
): Effect.fn.Return<LastKnown, never, FileSystem.FileSystem | Path.Path> {
  const services = yield* Provided.services<FileSystem.FileSystem | Path.Path>()
  const owner = { registry, public_key: Bytes.toBase64(publicKey) }
  const loaded = Option.getOrUndefined(Option.flatten(yield* Effect.option(JsonFile.load(path, Content))))
  const isOurs = loaded?.registry === owner.registry && loaded.public_key === owner.public_key
  let content: typeof Content.Type = isOurs ? loaded : { ...owner, node_id: 0, network: 0, port: 0, peers: [] }
  const save = Effect.suspend(() => Effect.ignore(JsonFile.save(path, Content, content))).pipe(
    Effect.provideContext(services)
  )
  return {
    address: content.node_id === 0 ? undefined : AddressOf.make(content.network, content.node_id),
    port: content.port === 0 ? undefined : content.port,
    place: (node, key) => {
      const row = key === undefined ? undefined : content.peers.find(({ node_id }) => node_id === node)
      return row?.public_key === (key && Bytes.toBase64(key)) ? Endpoint.parse(row?.endpoint ?? "") : undefined
    },
    registered: ({ network, node }, port) =>
      Effect.suspend(() => {
        if (content.node_id === node && content.network === network && content.port === port) return Effect.void
        content = { ...content, node_id: node, network, port }
        return save
      }),
    met: Effect.fnUntraced(function* (peers) {
      const atSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
      const rows = peers.flatMap((peer) => rowOf(peer, atSeconds))
      if (rows.every((row) => content.peers.some((known) => isFresh(known, row)))) return
      const others = content.peers.filter(({ node_id }) => !rows.some((row) => row.node_id === node_id))
      // The one met last is at the end.
      content = { ...content, peers: [...others, ...rows].slice(-PEERS_MAX) }
      yield* save
    })
  }
})

const rowOf = ({ authenticated, endpoint, node, path, publicKey }: PeerStatus, at: number): ReadonlyArray<Row> =>
  authenticated && path === "direct" && endpoint !== undefined && publicKey !== undefined
    ? [{ node_id: node, public_key: Bytes.toBase64(publicKey), endpoint: Endpoint.format(endpoint), at }]
    : []

/** Whether writing it again would tell nothing new. */
const isFresh = (known: Row, row: Row): boolean =>
  known.node_id === row.node_id &&
  known.public_key === row.public_key &&
  known.endpoint === row.endpoint &&
  row.at - known.at < REWRITE_SECONDS

const Id = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff_ffff }))
const Peer = Schema.Struct({
  node_id: Id,
  public_key: Schema.String,
  endpoint: Schema.String,
  /** Seconds since 1970. */
  at: Schema.Finite
})
type Row = typeof Peer.Type

const Content = Schema.Struct({
  registry: Schema.String,
  public_key: Schema.String,
  /** 0 before any registration. */
  node_id: Id,
  network: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff })),
  port: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff })),
  peers: Schema.Array(Peer)
})

/** Peers remembered, those met last. */
const PEERS_MAX = 1024
/** That a peer is still where it was is written so often. */
const REWRITE_SECONDS = 3600
