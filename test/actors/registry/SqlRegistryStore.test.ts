import { layer } from "@effect/vitest"
import { Layer } from "effect"
import * as RegistryStoreSuite from "../../support/RegistryStoreSuite.ts"
import * as StorageEngine from "../../support/StorageEngine.ts"

layer(Layer.empty)("SqlRegistryStore", (it) => RegistryStoreSuite.run(it, StorageEngine.sqlite))
