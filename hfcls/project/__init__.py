"""What a project of one's own begins with: the recipes of hfcls, or a task with corpus, model, recipe and test."""
