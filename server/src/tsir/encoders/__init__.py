"""Pictures, sketches and words become unit vectors. Knows no database and no HTTP."""
