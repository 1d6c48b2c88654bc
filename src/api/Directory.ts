/**
 * Who on the network offers what an agent needs: services found by words and by the arguments the agent has, over the cards
 * of trusted peers and the registry's public ones (`docs/mcp-discovery.md`). Every card is checked before it is believed; what
 * it says a tool does is still its owner's claim.
 */
import { Layer } from "effect"
import type * as NodeConfig from "../actors/layers/NodeConfig.ts"
import type { NodeError } from "../actors/layers/NodeError.ts"
import type * as Daemon from "./Daemon.ts"
import { type Directory, fromPilot } from "./DirectoryService.ts"
import * as PilotLayers from "./Pilot.ts"
import type { Pilot } from "./PilotService.ts"

export type { FoundService, FoundTool } from "../protocol/directory/FoundService.ts"
export { Directory, DirectoryError, type Found, fromPilot, type SearchOptions, search } from "./DirectoryService.ts"

/** A node in this process with its directory; see `Pilot.layer`. */
export const layer = (
  options: PilotLayers.NodeOptions = {}
): Layer.Layer<Directory | Pilot, NodeError | NodeConfig.ConfigError> =>
  Layer.provideMerge(fromPilot, PilotLayers.layer(options))

/** A running daemon of this user with its directory; see `Pilot.layerDaemon`. */
export const layerDaemon = (options: Daemon.Options = {}): Layer.Layer<Directory | Pilot, PilotLayers.PilotError> =>
  Layer.provideMerge(fromPilot, PilotLayers.layerDaemon(options))
