"""Problem cards: what a run trains, searches and validates."""
