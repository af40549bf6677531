DROP TRIGGER review_by_another ON lifecycle_reviewstep;
DROP FUNCTION lifecycle_review_by_another();
