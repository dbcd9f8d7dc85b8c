"""Who looks at questions and answers, and what they find."""
