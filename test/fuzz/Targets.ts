/** Everything that is fuzzed. A decoder that is in no target fails `Targets.test.ts`. */
import type { Target } from "./Fuzzer.ts"
import * as Connections from "./targets/Connections.ts"
import * as Daemon from "./targets/Daemon.ts"
import * as Directory from "./targets/Directory.ts"
import * as Eras from "./targets/Eras.ts"
import * as Events from "./targets/Events.ts"
