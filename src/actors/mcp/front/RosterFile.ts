/**
 * What the peers of a front listed when they were last asked (mcp §6.9), in one file of mode 0600, so that the next front has
 * services to show before it has asked anybody. It says nothing of tools: those are kept by the key of their peer.
 */
import { Effect, type FileSystem, Option, type Path, Schema } from "effect"
import * as Provided from "../../../core/actor/Provided.ts"
import * as JsonFile from "../../../core/storage/JsonFile.ts"
import * as ServiceListing from "../../../protocol/relay/ServiceListing.ts"
import type { RosterMemory } from "./FrontRoster.ts"

/** The file at that path. Trouble with it is logged; several fronts write it, and the last one wins. */
export const make = (path: string): Effect.Effect<RosterMemory, never, FileSystem.FileSystem | Path.Path> =>
  Effect.map(Provided.services<FileSystem.FileSystem | Path.Path>(), (context) => ({
    load: JsonFile.load(path, File).pipe(
      Effect.map(
        Option.match({
          onNone: () => new Map<string, ReadonlyArray<ServiceListing.ListedService>>(),
          onSome: ({ peers }) => new Map(peers.slice(0, PEERS_MAX).map(({ peer, services }) => [peer, services]))
        })
      ),
      Effect.catch((error) => Effect.as(logged(error), new Map())),
      Effect.provideContext(context)
    ),
    save: (listed) => {
      const peers = [...listed].slice(0, PEERS_MAX).map(([peer, services]) => ({
        peer,
        services: services.map(({ name, title }) => ({ name, title }))
      }))
      return JsonFile.save(path, File, { v: 1, peers }).pipe(Effect.catch(logged), Effect.provideContext(context))
    }
  }))

const logged = ({ detail, path }: JsonFile.JsonFileError) => Effect.logWarning(`mcp: ${path}: ${detail}`)

const Services = Schema.Array(Schema.Struct({ name: Schema.String, title: Schema.String })).check(
  Schema.isMaxLength(ServiceListing.SERVICES_MAX)
)
const File = Schema.Struct({
  v: Schema.Literal(1),
  peers: Schema.Array(Schema.Struct({ peer: Schema.String, services: Services }))
})

/** As many as a front asks. */
const PEERS_MAX = 256
