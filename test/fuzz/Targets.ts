/** Everything that is fuzzed. A decoder that is in no target fails `Targets.test.ts`. */
import type { Target } from "./Fuzzer.ts"
import * as Connections from "./targets/Connections.ts"
import * as Daemon from "./targets/Daemon.ts"
import * as Directory from "./targets/Directory.ts"
import * as Eras from "./targets/Eras.ts"
import * as Events from "./targets/Events.ts"
import * as Exchange from "./targets/Exchange.ts"
import * as Federation from "./targets/Federation.ts"
import * as Gateway from "./targets/Gateway.ts"
import * as Http from "./targets/Http.ts"
import * as Identity from "./targets/Identity.ts"
import * as Policy from "./targets/Policy.ts"
import * as Registry from "./targets/Registry.ts"
import * as Relay from "./targets/Relay.ts"
import * as Secure from "./targets/Secure.ts"
import * as Tasks from "./targets/Tasks.ts"
import * as Texts from "./targets/Texts.ts"
import * as Trust from "./targets/Trust.ts"
import * as Tunnels from "./targets/Tunnels.ts"
import * as Wire from "./targets/Wire.ts"

/** One input per case. */
export const decoders: ReadonlyArray<Target> = [
  ...Wire.targets,
  ...Secure.targets,
  ...Exchange.targets,
  ...Daemon.targets,
  ...Eras.targets,
  ...Relay.targets,
  ...Federation.targets,
  ...Http.targets,
  ...Gateway.targets,
  ...Directory.targets,
  ...Identity.targets,
  ...Events.targets,
  ...Tasks.targets,
  ...Trust.targets,
  ...Policy.targets,
  ...Texts.targets
]

/** Many inputs per case, for something with a state. */
export const sessions: ReadonlyArray<Target> = [...Connections.targets, ...Tunnels.targets, ...Registry.targets]

/** All of them. */
export const all: ReadonlyArray<Target> = [...decoders, ...sessions]
