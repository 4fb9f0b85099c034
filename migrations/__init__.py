"""What Alembic runs: env.py, and the revisions of both lineages, which name SQL files and nothing else."""
