"""Near-duplicates of a collection."""

from __future__ import annotations

from tsir.api.deps import CollectionName, LibraryDep, RunDep, SettingsDep
from tsir.api.routes import group
from tsir.services import duplicates
from tsir.services.views import DuplicateList

router = group("images", "/api/v1/collections/{name}/duplicates")


@router.get("")
async def list_duplicates(name: CollectionName, library: LibraryDep, settings: SettingsDep, run: RunDep) -> DuplicateList:
    """Groups of pictures that are one: at another size, recompressed, cropped a little, mirrored. Of many that takes minutes."""
    return DuplicateList.of(await run(duplicates.find, library, settings, name))
