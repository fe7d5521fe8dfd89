"""Files that come with a lead."""
