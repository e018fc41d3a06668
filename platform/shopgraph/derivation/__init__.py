"""What serving reads and no source states: neighbours of products and of users, and popularity, from purchases."""
